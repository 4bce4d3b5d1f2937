"""How requests go to Elasticsearch: the official client's transport, with our TLS, our words for what fails, and bounded answers."""

from __future__ import annotations

import errno
import logging
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import urllib3
from elastic_transport import ConnectionError as NodeConnectionError
from elastic_transport import (
    ConnectionTimeout,
    NodeConfig,
    Serializer,
    TlsError,
    Transport,
    TransportError,
    Urllib3HttpNode,
)

from shipper.outputs.tls import client_context, explain, trust_by_fingerprint

if TYPE_CHECKING:
    from shipper.settings import ElasticsearchOutputSettings

ANSWER_LIMIT = 64 << 20
"""Bytes, unpacked. Elasticsearch gives each refused document about 1 KiB: a bulk answer of its own has far less."""
_CONNECT_SECONDS = 10.0

# It warns of each failed attempt with a traceback, on standard error where logging is not set up; our errors say it all.
logging.getLogger("elastic_transport").setLevel(logging.ERROR)


class _Bytes(Serializer):
    """Bodies and answers as they are."""

    def dumps(self, data: Any) -> bytes:
        assert isinstance(data, bytes)
        return data

    def loads(self, data: bytes) -> bytes:
        return data


class _Answer(NamedTuple):
    """What the transport looks at of urllib3's response."""

    status: int
    headers: urllib3.HTTPHeaderDict
    data: bytes


class _Pool:
    """urllib3's, whose answers have a bound: whatever stands at the address must not take all of the memory."""

    def __init__(self, pool: urllib3.HTTPConnectionPool) -> None:
        self._pool = pool
        self.close = pool.close

    def urlopen(self, method: str, url: str, **options: Any) -> _Answer:
        """As urllib3's. Raises ``OSError`` for an answer that is too large."""
        response = self._pool.urlopen(method, url, preload_content=False, **options)
        try:
            data = response.read(ANSWER_LIMIT + 1)
        finally:
            # Where something is left to be read, the connection can have no further use.
            response.close()
            response.release_conn()
        if len(data) > ANSWER_LIMIT:
            limit = f"the answer is larger than {ANSWER_LIMIT >> 20} MiB: what is in front of Elasticsearch?"
            raise OSError(errno.EMSGSIZE, limit)
        return _Answer(response.status, response.headers, data)


class _Node(Urllib3HttpNode):
    """A node whose TLS is ours, and whose errors say which node it was and what to do."""

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        self._timeout: float = config.request_timeout or 0.0
        self._context: ssl.SSLContext | None = config._extras.get("_context")  # noqa: SLF001 - meant for third parties
        self._fingerprint: str | None = config._extras.get("_fingerprint")  # noqa: SLF001 - as above
        timeout = urllib3.Timeout(connect=min(_CONNECT_SECONDS, self._timeout), read=self._timeout)
        if self._context is None:
            pool = urllib3.HTTPConnectionPool(config.host, config.port, timeout=timeout, maxsize=1, block=True)
        else:
            if self._context.verify_mode == ssl.CERT_NONE:  # chosen in the settings: no warning for each connection
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            pool = urllib3.HTTPSConnectionPool(
                config.host,
                config.port,
                timeout=timeout,
                maxsize=1,
                block=True,
                ssl_context=self._context,
                cert_reqs=self._context.verify_mode,
                assert_hostname=None if self._context.check_hostname else False,
            )
        self.pool = _Pool(pool)  # type: ignore[assignment]  # the methods that the transport uses

    def perform_request(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._context is not None and self._fingerprint is not None:
                self._trust(self._context, self._fingerprint)
            return super().perform_request(*args, **kwargs)
        except TransportError as error:
            kind = next(
                (each for each in (TlsError, ConnectionTimeout) if isinstance(error, each)), NodeConnectionError
            )
            connecting = any(isinstance(each, urllib3.exceptions.ConnectTimeoutError) for each in error.errors)
            timeout = min(_CONNECT_SECONDS, self._timeout) if connecting else self._timeout
            raise kind(
                f"Elasticsearch at {self.base_url}: {explain(error, timeout, secure=self.scheme == 'https')}"
            ) from error

    def _trust(self, context: ssl.SSLContext, fingerprint: str) -> None:
        try:
            trust_by_fingerprint(context, fingerprint, self.host, self.port, min(_CONNECT_SECONDS, self._timeout))
        except OSError as error:
            raise NodeConnectionError(str(error), errors=(error,)) from error
        self._fingerprint = None

    def _log_request(self, *args: Any, **kwargs: Any) -> None:
        """Not at all: the client's own decodes every body as soon as anything in the process logs."""


def open_transport(settings: ElasticsearchOutputSettings) -> Transport:
    """To all hosts of the settings, in their order. Connects to nothing yet. Raises ``RefusedError`` for bad certificates."""
    as_they_are = _Bytes()
    return Transport(
        _node_configs(settings),
        node_class=_Node,
        max_retries=0,
        randomize_nodes_in_pool=False,
        serializers=dict.fromkeys(
            ("application/json", "application/x-ndjson", "application/*", "text/*", "image/*"), as_they_are
        ),
    )


def _node_configs(settings: ElasticsearchOutputSettings) -> list[NodeConfig]:
    context = client_context(settings.ssl) if any(host.startswith("https:") for host in settings.hosts) else None
    configs = []
    for host in settings.hosts:
        parts = urlsplit(host)
        secure = parts.scheme == "https"
        verified = secure and settings.ssl.verification_mode != "none"
        configs.append(
            NodeConfig(
                parts.scheme,
                parts.hostname or "",
                parts.port or 9200,
                parts.path,
                request_timeout=settings.timeout,
                connections_per_node=1,
                _extras={
                    "_context": context if secure else None,
                    "_fingerprint": settings.ssl.ca_trusted_fingerprint if verified else None,
                },
            )
        )
    return configs
