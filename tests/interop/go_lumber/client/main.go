// Sends numbered events with go-lumber's own client, and prints how many were acknowledged.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	v2 "github.com/elastic/go-lumber/client/v2"
)

func main() {
	address := flag.String("address", "", "host:port")
	count := flag.Int("count", 1000, "events")
	batch := flag.Int("batch", 100, "events of a window")
	compress := flag.Int("compress", 3, "level")
	pipeline := flag.Int("pipeline", 0, "windows in flight; 0 waits for each")
	ca := flag.String("ca", "", "PEM file of the authority; empty is no TLS")
	timeout := flag.Duration("timeout", 10*time.Second, "of reads and writes")
	flag.Parse()

	dial := net.Dial
	if *ca != "" {
		pem, err := os.ReadFile(*ca)
		check(err)
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		dial = func(network, address string) (net.Conn, error) {
			return tls.Dial(network, address, &tls.Config{RootCAs: pool})
		}
	}
	options := []v2.Option{v2.CompressionLevel(*compress), v2.Timeout(*timeout)}
	var acknowledged int64
	windows := make([][]interface{}, 0)
	for begin := 0; begin < *count; begin += *batch {
		window := make([]interface{}, 0, *batch)
		for at := begin; at < begin+*batch && at < *count; at++ {
			window = append(window, map[string]interface{}{
				"@timestamp": "2026-01-02T03:04:05.678Z",
				"@metadata":  map[string]interface{}{"beat": "go-lumber", "type": "_doc"},
				"message":    fmt.Sprintf("event %d", at),
				"agent":      map[string]interface{}{"id": "0d7a2f3e", "type": "go-lumber"},
				"log":        map[string]interface{}{"offset": at * 10, "file": map[string]interface{}{"path": "/var/log/a.log"}},
			})
		}
		windows = append(windows, window)
	}
	if *pipeline == 0 {
		client, err := v2.SyncDialWith(dial, *address, options...)
		check(err)
		for _, window := range windows {
			done, err := client.Send(window)
			acknowledged += int64(done)
			check(err)
		}
		_ = client.Close()
	} else {
		client, err := v2.AsyncDialWith(dial, *address, *pipeline, options...)
		check(err)
		finished := make(chan error, len(windows))
		for _, window := range windows {
			check(client.Send(func(done uint32, err error) {
				atomic.AddInt64(&acknowledged, int64(done))
				finished <- err
			}, window))
		}
		for range windows {
			check(<-finished)
		}
		_ = client.Close()
	}
	fmt.Println(acknowledged)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
