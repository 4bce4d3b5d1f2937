"""Logstash, or anything else that listens to Beats: our own receiver, for one.

An event is a Beat's: the document, with ``@metadata`` in front of it. The bytes are spliced, nothing is parsed again::

    {"@metadata":{"_id":"<20 characters>","beat":"elk-shipper","type":"_doc","version":"0.5.0"},"@timestamp":...}

``@metadata`` is never stored; a Logstash pipeline reads from it. ``_id`` makes an event that was sent twice one document,
where the pipeline uses it. A document of the batch may bring metadata of its own, at its very beginning (``METADATA``): the
encoder writes ``"parsed":true`` there for inputs with a pipeline, so that Logstash knows what is left to do.

Of several hosts one is used at a time, the others when it fails; ``loadbalance`` gives each sender's output a host of its
own to prefer, and the senders share the queue, so that the quicker host gets more. What was not acknowledged when a
connection broke is sent again, to the next host: it may arrive twice.
"""

from __future__ import annotations

import itertools
import random
import time
from collections import deque
from typing import TYPE_CHECKING

import orjson

from shipper import __version__
from shipper.errors import UnavailableError
from shipper.lumberjack.client import Connection
from shipper.lumberjack.frames import ProtocolError, window
from shipper.lumberjack.growth import Growth
from shipper.outputs.base import Output
from shipper.outputs.batch import Outcomes
from shipper.outputs.tls import LOGSTASH, client_context, explain, trust_by_fingerprint

if TYPE_CHECKING:
    import ssl

    from shipper.outputs.batch import Batch
    from shipper.settings import LogstashOutputSettings

METADATA = b'{"@metadata":{'
"""How a document begins that brings metadata of its own: an object that is not empty."""

_HOME_AGAIN = 60.0
"""Seconds after which a sender that was driven from its host looks whether it is back."""
_CONNECT_SECONDS = 10.0
_PATIENCE = 600.0

_turns = itertools.count()


class LogstashOutput(Output):
    """Windows over one connection at a time, several of them in flight."""

    def __init__(self, settings: LogstashOutputSettings) -> None:
        """Connects to nothing yet. Raises ``RefusedError`` when certificates cannot be loaded."""
        hosts = settings.hosts
        self.name = f"logstash at {', '.join(hosts)}"
        self._hosts = [_address(host) for host in hosts]
        self._settings = settings
        self._context: ssl.SSLContext | None = client_context(settings.ssl) if settings.tls else None
        self._home = next(_turns) % len(hosts) if settings.loadbalance else random.randrange(len(hosts))  # noqa: S311 - not a secret
        self._at = self._home
        self._left_home = self._connected = 0.0
        self._connection: Connection | None = None
        self._growth = Growth(settings.bulk_max_size, slow=settings.slow_start)
        metadata = {"beat": settings.index, "type": "_doc", "version": __version__}
        self._metadata = orjson.dumps(metadata)[1:]
        self._trusted: set[int] = set()

    def check(self) -> None:
        """Connect to a host that can be connected to. Raises ``UnavailableError``, and says why for each."""
        self._connect_to_any()

    def send(self, batch: Batch) -> Outcomes:
        """Send until everything is acknowledged or no host is left to try."""
        if not batch.count:
            return Outcomes()
        events = self._events(batch)
        todo = deque([(0, batch.count)])
        reason = ""
        for _ in self._hosts:
            flying: deque[list[int]] = deque()
            try:
                connection = self._connect_to_any()
                self._exchange(connection, events, todo, flying)
            except (OSError, ProtocolError, UnavailableError) as error:
                none_left = isinstance(error, UnavailableError)
                reason = str(error) if none_left else self._failed(error)
                todo.extendleft((begin, end) for begin, end in reversed(flying))
                if none_left:
                    break
            else:
                return Outcomes()
        left = [at for begin, end in todo for at in range(begin, end)]
        if len(left) == batch.count:
            raise UnavailableError(reason)
        return Outcomes(retry=left, reason=reason.removeprefix(f"{self.name}: "))

    def close(self) -> None:
        """Close the connection."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _events(self, batch: Batch) -> list[bytes]:
        """The documents as Beats' events."""
        lines = batch.body.split(b"\n")
        default, own = self._metadata, len(METADATA)
        return [
            b'%b"_id":"%b",%b' % (METADATA, action[18:38], document[own:])
            if document.startswith(METADATA)
            else b'%b"_id":"%b",%b%b%b'
            % (METADATA, action[18:38], default, b"," if document != b"{}" else b"", document[1:])
            for action, document in zip(lines[:-1:2], lines[1::2], strict=True)
        ]

    def _exchange(
        self, connection: Connection, events: list[bytes], todo: deque[tuple[int, int]], flying: deque[list[int]]
    ) -> None:
        """Send what is in ``todo`` (ranges of positions); ``flying`` holds what is not acknowledged, whatever happens."""
        level = self._settings.compression_level
        sizes: deque[int] = deque()
        try:
            while todo or flying:
                while todo and connection.windows < self._settings.pipelining:
                    begin, end = todo.popleft()
                    stop = min(end, begin + self._growth.size)
                    if stop < end:
                        todo.appendleft((stop, end))
                    flying.append([begin, stop])
                    sizes.append(stop - begin)
                    connection.send(window(events[begin:stop], level), stop - begin)
                self._account(connection.acknowledged(), flying, sizes)
        except (OSError, ProtocolError):
            self._account(connection.fresh(), flying, sizes)
            raise

    def _account(self, count: int, flying: deque[list[int]], sizes: deque[int]) -> None:
        while count:
            begin, end = flying[0]
            done = min(count, end - begin)
            flying[0][0] += done
            count -= done
            if flying[0][0] == end:
                flying.popleft()
                self._growth.succeeded(sizes.popleft())

    def _connect_to_any(self) -> Connection:
        """The connection, to a host that can be connected to. Raises ``UnavailableError`` when there is none."""
        now = time.monotonic()
        if self._connection and self._settings.ttl and now - self._connected > self._settings.ttl:
            self.close()
        if self._connection and self._at != self._home and now - self._left_home > _HOME_AGAIN:
            self._go_home(now)
        reasons = []
        for _ in self._hosts:
            if self._connection:
                break
            try:
                self._connection = self._connect(self._at)
            except OSError as error:
                reasons.append(self._failed(error, connecting=True))
        if not self._connection:
            raise UnavailableError("; ".join(dict.fromkeys(reasons)))
        return self._connection

    def _go_home(self, now: float) -> None:
        self._left_home = now
        try:
            home = self._connect(self._home)
        except OSError:
            return  # where we are is good
        self.close()
        self._connection, self._at = home, self._home

    def _connect(self, at: int) -> Connection:
        address = self._hosts[at]
        connect = min(_CONNECT_SECONDS, self._settings.timeout)
        fingerprint = self._settings.ssl.ca_trusted_fingerprint
        if self._context and fingerprint and at not in self._trusted and self._settings.ssl.verification_mode != "none":
            trust_by_fingerprint(self._context, fingerprint, *address, connect)
            self._trusted.add(at)
        connection = Connection(
            address,
            timeout=self._settings.timeout,
            connect_timeout=connect,
            patience=max(_PATIENCE, self._settings.timeout),
            context=self._context,
        )
        self._connected = time.monotonic()
        return connection

    def _failed(self, error: Exception, *, connecting: bool = False) -> str:
        """Leave the host for the next; why, for a person."""
        host = self._settings.hosts[self._at]
        if isinstance(error, ProtocolError):
            why = f"{error}: check that a beats input listens there"
        elif isinstance(error, TimeoutError) and not connecting and error.args:
            why = str(error)
        else:
            limit = min(_CONNECT_SECONDS, self._settings.timeout) if connecting else self._settings.timeout
            why = explain(error, limit, secure=self._context is not None, hints=LOGSTASH)
        if not connecting:
            self._growth.failed()
        self.close()
        if self._at == self._home:
            self._left_home = time.monotonic()
        self._at = (self._at + 1) % len(self._hosts)
        return f"Logstash at {host}: {why}"


def _address(host: str) -> tuple[str, int]:
    name, _, port = host.rpartition(":")
    return name.strip("[]"), int(port)
