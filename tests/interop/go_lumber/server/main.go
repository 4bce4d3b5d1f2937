// Takes events with go-lumber's own server and prints each as a line of JSON, then acknowledges its window.
// The first line is the address.
package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/elastic/go-lumber/server"
)

func main() {
	delay := flag.Duration("delay", 0, "before a window is acknowledged")
	keepalive := flag.Duration("keepalive", 3*time.Second, "between acknowledgements of nothing")
	certificate := flag.String("certificate", "", "PEM file with the certificate and the key; empty is no TLS")
	flag.Parse()

	options := []server.Option{server.V2(true), server.Keepalive(*keepalive)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	if *certificate != "" { // the library's own option works only where it makes the listener
		pair, err := tls.LoadX509KeyPair(*certificate, *certificate)
		check(err)
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}})
	}
	running, err := server.NewWithListener(listener, options...)
	check(err)
	fmt.Println(listener.Addr())
	out := bufio.NewWriter(os.Stdout)
	for batch := range running.ReceiveChan() {
		time.Sleep(*delay)
		for _, event := range batch.Events {
			line, err := json.Marshal(event)
			check(err)
			_, _ = out.Write(append(line, '\n'))
		}
		check(out.Flush())
		batch.ACK()
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
