"""The settings of the outputs. See ``model`` for how a field is described."""

from __future__ import annotations

import base64
import contextlib
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator

from shipper.settings.base import Flag, Key, Model, Text
from shipper.settings.units import FilePath, Seconds, Size, Unit, items, one_per_comma

_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1|.+\.localhost")
_NOT_IN_NAMES = re.compile(r'[\\/*?"<>|, #:A-Z]')


class OutputSettings(Model):
    """What all outputs have in common."""

    enabled: Flag = Field(default=True, description="Whether the output is used; exactly one may be.")
    bulk_max_bytes: Size = Field(
        default=2 << 20,
        ge=1024,
        le=100 << 20,
        description="Documents are sent in batches of about this many bytes, uncompressed.",
    )


class StoreOutputSettings(OutputSettings):
    """The log store inside this machine: no server needed. The default."""

    kind: Literal["store"] = "store"
    path: FilePath | None = Field(default=None, description="The store's folder. Default: `store` below `path.data`.")
    max_bytes: Size | None = Field(
        default=None,
        ge=64 << 20,
        description="About how much disk the store may use: the oldest events are deleted for the new, an eighth of it or less"
        " at a time. Default: everything is kept.",
    )


class ConsoleOutputSettings(OutputSettings):
    """Documents to standard output, one JSON object a line."""

    kind: Literal["console"] = "console"
    pretty: Flag = Field(default=False, description="Indent the JSON, over several lines.")


class FileOutputSettings(OutputSettings):
    """Documents appended to a file (NDJSON), synced to disk before they count as delivered."""

    kind: Literal["file"] = "file"
    path: FilePath = Field(description="The folder; it is made when missing.")
    filename: Annotated[str, Unit("text")] = Field(
        default="shipper.ndjson", description="The file's name in that folder."
    )

    @field_validator("filename")
    @classmethod
    def _in_the_folder(cls, value: str) -> str:
        if not value or "/" in value or value in {".", ".."}:
            msg = f"{value!r} is not the name of a file: put the folder into path"
            raise ValueError(msg)
        return value


def _host(value: str) -> str:
    """``es`` → ``http://es:9200``; scheme and port may be given, and a path."""
    url = value if "://" in value else f"http://{value}"
    if "@" in url:
        msg = "holds a user or a password: put them into username and password"
        raise ValueError(msg)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 9200
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"} or parts.query or parts.fragment or " " in url:
        msg = f"{value!r} is not the address of an Elasticsearch: write http://host:9200 or https://host:9200"
        raise ValueError(msg)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}{parts.path.rstrip('/')}"


class SslSettings(Model):
    """TLS towards Elasticsearch, for hosts with `https://`."""

    certificate_authorities: Annotated[tuple[FilePath, ...], BeforeValidator(items), Unit("list of paths")] = Field(
        default=(), description="PEM files of the authorities to trust. Default: the system's."
    )
    verification_mode: Annotated[Literal["full", "certificate", "none"], Unit("full, certificate or none")] = Field(
        default="full",
        description="`full` checks the chain and the host's name, `certificate` the chain only, `none` nothing (never in production).",
    )
    certificate: FilePath | None = Field(default=None, description="PEM file of the client's certificate.")
    key: FilePath | None = Field(
        default=None, description="PEM file of the client's key. Default: it is in `certificate`."
    )
    key_passphrase: Annotated[SecretStr | None, Unit("text")] = Field(
        default=None, description="Opens an encrypted `key`."
    )
    ca_trusted_fingerprint: Annotated[str | None, Unit("SHA-256 in hex")] = Field(
        default=None,
        description="The fingerprint of an authority of the server's chain, which is trusted then; as Elasticsearch prints at its first start.",
    )

    @field_validator("ca_trusted_fingerprint")
    @classmethod
    def _sha256(cls, value: str | None) -> str | None:
        digits = None if value is None else value.replace(":", "").replace(" ", "").lower()
        if digits is not None and not re.fullmatch("[0-9a-f]{64}", digits):
            msg = "is not a SHA-256 fingerprint: give its 64 hexadecimal digits (openssl x509 -fingerprint -sha256 -noout -in ca.crt)"
            raise ValueError(msg)
        return digits

    @model_validator(mode="after")
    def _complete(self) -> SslSettings:
        if self.key and not self.certificate:
            msg = "key is set without certificate: name the client's certificate too"
            raise ValueError(msg)
        return self


class DataStreamSettings(Model):
    """The data stream `logs-<dataset>-<namespace>` that documents go to."""

    dataset: Text = Field(default="generic", description="Which logs these are, such as `spring`.")
    namespace: Text = Field(default="default", description="Whose they are, such as `production`.")

    @field_validator("dataset", "namespace")
    @classmethod
    def _name(cls, value: str) -> str:
        if not 1 <= len(value) <= 100 or "-" in value or _NOT_IN_NAMES.search(value):
            msg = f"{value!r} cannot be part of a data stream's name: at most 100 lower-case characters, none of - \\ / * ? \" < > | , # : or space"
            raise ValueError(msg)
        return value

    @property
    def name(self) -> str:
        """``logs-<dataset>-<namespace>``."""
        return f"logs-{self.dataset}-{self.namespace}"


class BackoffSettings(Model):
    """How long to wait before trying again. Each failure doubles the wait, with jitter."""

    init: Seconds = Field(default=1.0, gt=0, description="After the first failure.")
    max: Seconds = Field(default=60.0, gt=0, description="At most.")


def _lumberjack_host(value: str) -> str:
    """``logstash`` → ``logstash:5043``."""
    try:
        parts = urlsplit(f"//{value}")
        host, port = parts.hostname, parts.port or 5043
    except ValueError:
        host = None
    if not host or parts.netloc != value or "@" in value or " " in value:
        msg = f"{value!r} is not an address: write host:5043, without a scheme (TLS is set with ssl)"
        raise ValueError(msg)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class LogstashSslSettings(SslSettings):
    """TLS towards Logstash."""

    enabled: Annotated[bool | None, Unit("true or false")] = Field(
        default=None, description="Whether TLS is spoken. Default: when anything else of `ssl` is set."
    )


class LogstashOutputSettings(OutputSettings):
    """Logstash's beats input, or our own receiver, by Lumberjack v2. See [logstash.md](logstash.md)."""

    kind: Literal["logstash"] = "logstash"
    hosts: Annotated[
        tuple[Annotated[str, AfterValidator(_lumberjack_host)], ...],
        BeforeValidator(one_per_comma),
        Unit("list of host:port"),
    ] = Field(min_length=1, description="Where to send to; another one is taken when one fails. Without a port: 5043.")
    loadbalance: Flag = Field(
        default=False, description="Send to all hosts at the same time, instead of to one that is chosen at random."
    )
    worker_per_host: Annotated[int, Unit("number"), Key("worker", ("workers",))] = Field(
        default=1, ge=1, le=16, description="Connections: in all, or with `loadbalance` for each host."
    )
    bulk_max_size: Annotated[int, Unit("number")] = Field(
        default=2048, ge=1, le=1 << 20, description="Events of one window, at most."
    )
    pipelining: Annotated[int, Unit("number")] = Field(
        default=2, ge=1, le=64, description="Windows on their way over one connection at the same time."
    )
    slow_start: Flag = Field(
        default=True,
        description="Begin with small windows and double them with each success up to `bulk_max_size`; halve them after a failure.",
    )
    compression_level: Annotated[int, Unit("0 to 9")] = Field(
        default=3,
        ge=0,
        le=9,
        description="Compression; 0 is none, 1 to 3 are the same, 4 to 9 too: a little smaller, and slower.",
    )
    timeout: Seconds = Field(
        default=30.0, gt=0, description="How long nothing at all may come before another host is tried."
    )
    ttl: Seconds = Field(
        default=0.0,
        description="A connection is made anew after this time, so that a load balancer in between can balance; 0 is never.",
    )
    index: Text = Field(
        default="elk-shipper",
        min_length=1,
        description="`[@metadata][beat]` of the events; `filebeat` for a Logstash configuration that looks for that.",
    )
    ssl: LogstashSslSettings = Field(default=LogstashSslSettings(), description="TLS.")
    backoff: BackoffSettings = Field(default=BackoffSettings(), description="Waits between attempts.")

    @property
    def tls(self) -> bool:
        """Whether TLS is spoken."""
        return bool(self.ssl.model_fields_set) if self.ssl.enabled is None else self.ssl.enabled

    @property
    def worker(self) -> int:
        """How many senders there are in all."""
        return self.worker_per_host * (len(self.hosts) if self.loadbalance else 1)


class ElasticsearchOutputSettings(OutputSettings):
    """Elasticsearch 8.x or 9.x."""

    kind: Literal["elasticsearch"] = "elasticsearch"
    hosts: Annotated[
        tuple[Annotated[str, AfterValidator(_host)], ...], BeforeValidator(one_per_comma), Unit("list of URLs")
    ] = Field(
        min_length=1,
        description="The nodes to send to, in turn; one that fails is left out for a while. Without a port: 9200.",
    )
    username: Text | None = Field(default=None, description="User of basic authentication; needs `password`.")
    password: Annotated[SecretStr | None, Unit("text")] = Field(
        default=None, description="Its password; best as `${ES_PASSWORD}`."
    )
    api_key: Annotated[SecretStr | None, Unit("text")] = Field(
        default=None, description="An API key: `id:key`, or both encoded as Kibana shows it."
    )
    index: Text | None = Field(default=None, description="A plain index to write to, instead of a data stream.")
    data_stream: DataStreamSettings = Field(default=DataStreamSettings(), description="The data stream to write to.")
    ssl: SslSettings = Field(default=SslSettings(), description="TLS.")
    compression_level: Annotated[int | None, Unit("0 to 9")] = Field(
        default=None,
        ge=0,
        le=9,
        description="Compression of requests; 0 is none. Default: 0 when every host is this machine, else 1.",
    )
    timeout: Seconds = Field(default=90.0, gt=0, description="How long to wait for the answer to a request.")
    backoff: BackoffSettings = Field(default=BackoffSettings(), description="Waits between attempts.")
    worker: Annotated[int, Unit("number"), Key("worker", ("workers",))] = Field(
        default=1, ge=1, le=16, description="Requests in flight at the same time."
    )

    @field_validator("index")
    @classmethod
    def _index_name(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if "%{" in value:
            msg = f"{value!r} holds a pattern, which is not supported: use a data stream, it rolls over by itself"
            raise ValueError(msg)
        if (
            not value
            or len(value.encode()) > 255
            or value[0] in "-_+"
            or value in {".", ".."}
            or _NOT_IN_NAMES.search(value)
        ):
            msg = f'{value!r} is not the name of an index: lower case, not beginning with - _ or +, none of \\ / * ? " < > | , # : or space'
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> ElasticsearchOutputSettings:
        if self.index and "data_stream" in self.model_fields_set:
            msg = "index and data_stream are both set: keep one"
        elif self.api_key and self.username:
            msg = "api_key and username are both set: keep one"
        elif bool(self.username) != bool(self.password):
            msg = "username and password go together: set both"
        else:
            return self
        raise ValueError(msg)

    @property
    def target(self) -> str:
        """The index or data stream that documents go to."""
        return self.index or self.data_stream.name

    @property
    def gzip_level(self) -> int:
        """``compression_level`` with its default resolved."""
        if self.compression_level is not None:
            return self.compression_level
        return 0 if all(_LOOPBACK.fullmatch(urlsplit(host).hostname or "") for host in self.hosts) else 1

    @property
    def encoded_api_key(self) -> str | None:
        """The key as the ``Authorization: ApiKey`` header wants it."""
        if self.api_key is None:
            return None
        key = self.api_key.get_secret_value()
        return base64.b64encode(key.encode()).decode() if ":" in key else key

    @property
    def authorization(self) -> str | None:
        """The value of the header ``Authorization``, where there are credentials."""
        if key := self.encoded_api_key:
            return f"ApiKey {key}"
        if self.username and self.password:
            pair = f"{self.username}:{self.password.get_secret_value()}"
            return f"Basic {base64.b64encode(pair.encode()).decode()}"
        return None

    @property
    def secrets(self) -> frozenset[str]:
        """With what ``authorization`` is made of: a server may repeat that, or what it takes from it."""
        pair = ""
        with contextlib.suppress(ValueError):  # a key that is none
            encoded = (self.authorization or "").rpartition(" ")[2]
            pair = base64.b64decode(encoded, validate=True).decode()
        return super().secrets | {pair, pair.partition(":")[2]} - {""}
