"""Peers for the tests of Lumberjack: a server that does what a script says, a proxy that cuts, and certificates."""

from __future__ import annotations

import contextlib
import socket
import threading

from shipper.lumberjack.decoder import Decoder, Event
from shipper.lumberjack.frames import ack


class Seen(list):
    """What one connection of a ``Scripted`` server does and has seen: the sizes of its windows."""

    def __init__(self, connection):
        super().__init__()
        self.connection = connection
        self.events = []
        self._decoder = Decoder()

    def window(self):
        """Read one whole window; its events' payloads. ``None`` at the end of the connection."""
        came = []
        while True:
            # One frame at a time: the next window stays where it is.
            for frame in self._decoder.read(1):
                if isinstance(frame, Event):
                    came.append(frame.payload)
                else:
                    self.append(frame.events)
                break
            else:
                data = self.connection.recv(1 << 16)
                if not data:
                    return None
                self._decoder.feed(data)
            if came and len(came) == self[-1]:
                self.events += came
                return came

    def ack(self, number):
        self.connection.sendall(ack(number))

    def acknowledge_all(self):
        while (came := self.window()) is not None:
            self.ack(len(came))


class Scripted:
    """A server on loopback, a stand-in for Logstash: ``script(seen)`` is called for each connection, one after the other."""

    def __init__(self, script=Seen.acknowledge_all, context=None):
        self._script = script
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.port = self._listener.getsockname()[1]
        self.connections = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def events(self):
        return [event for seen in self.connections for event in seen.events]

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for seen in self.connections:
            with contextlib.suppress(OSError):
                seen.connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _serve(self):
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), contextlib.closing(plain):
                connection = self._context.wrap_socket(plain, server_side=True) if self._context else plain
                with contextlib.closing(connection):
                    seen = Seen(connection)
                    self.connections.append(seen)
                    self._script(seen)


class Cutter:
    """A proxy on loopback: ``limits`` are (to the server, to the client) bytes per connection; behind them it cuts both ways."""

    def __init__(self, port, limits):
        self._target = port
        self._limits = iter(limits)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(60)

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            out, back = next(self._limits, (None, None))
            server = socket.create_connection(("127.0.0.1", self._target))
            pair = (client, server)
            for source, sink, limit in ((client, server, out), (server, client, back)):
                thread = threading.Thread(target=self._pump, args=(source, sink, limit, pair), daemon=True)
                thread.start()
                self._threads.append(thread)

    @staticmethod
    def _pump(source, sink, limit, pair):
        with contextlib.suppress(OSError):
            while limit is None or limit > 0:
                data = source.recv(1 << 16 if limit is None else min(limit, 1 << 16))
                if not data:
                    break
                sink.sendall(data)
                if limit is not None:
                    limit -= len(data)
        for each in pair:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
