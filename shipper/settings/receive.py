"""The settings of ``shipper receive``. See ``model`` for how a field is described."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from shipper.settings.base import Fields, Flag, Model, Tags
from shipper.settings.units import FilePath, Seconds, Size, Unit, items
from shipper.settings.values import iana_zone, pipeline_path

_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\]):\d+")


def _listen(value: str) -> str:
    """``:5043``, ``0.0.0.0`` and ``[::]:5043`` as ``address:port``."""
    try:
        parts = urlsplit(f"//{value}")
        host, port = parts.hostname or "0.0.0.0", 5043 if parts.port is None else parts.port  # noqa: S104 - what `:5043` means
    except ValueError:
        host = None
    if not host or parts.netloc != value or "@" in value or " " in value:
        msg = f"{value!r} is not an address to listen on: write 0.0.0.0:5043, or [::]:5043"
        raise ValueError(msg)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class ReceiveSslSettings(Model):
    """TLS of the receiver."""

    enabled: Annotated[bool | None, Unit("true or false")] = Field(
        default=None,
        description="Whether TLS is spoken. Default: yes; only on a loopback address without `certificate` it is no. "
        "`false` must be written for an address that others can reach.",
    )
    certificate: FilePath | None = Field(
        default=None, description="PEM file of the receiver's certificate and its chain."
    )
    key: FilePath | None = Field(default=None, description="PEM file of its key. Default: it is in `certificate`.")
    key_passphrase: Annotated[SecretStr | None, Unit("text")] = Field(
        default=None, description="Opens an encrypted `key`."
    )
    certificate_authorities: Annotated[tuple[FilePath, ...], BeforeValidator(items), Unit("list of paths")] = Field(
        default=(), description="PEM files of the authorities of the clients' certificates."
    )
    client_authentication: Annotated[
        Literal["none", "optional", "required"] | None, Unit("none, optional or required")
    ] = Field(
        default=None,
        description="Whether clients must show a certificate. Default: `required` with `certificate_authorities`, else `none`.",
    )

    @property
    def clients(self) -> str:
        """``client_authentication`` with its default resolved."""
        return self.client_authentication or ("required" if self.certificate_authorities else "none")

    @model_validator(mode="after")
    def _complete(self) -> ReceiveSslSettings:
        if self.key and not self.certificate:
            msg = "key is set without certificate: name the receiver's certificate too"
        elif self.enabled and not self.certificate:
            msg = "is enabled without certificate: name the receiver's certificate and key"
        elif self.clients != "none" and not self.certificate_authorities:
            msg = f"client_authentication is {self.clients}: name the authorities of the clients' certificates in certificate_authorities"
        else:
            return self
        raise ValueError(msg)


class ReceiveSettings(Model):
    """Events from Beats and from other agents, by Lumberjack v2. See [logstash.md](logstash.md)."""

    host: Annotated[str, AfterValidator(_listen), Unit("address:port")] = Field(
        default="0.0.0.0:5043",
        description="Where to listen.",
    )
    ssl: ReceiveSslSettings = Field(default=ReceiveSslSettings(), description="TLS.")
    pipeline: Annotated[str | None, BeforeValidator(pipeline_path), Unit("name or path")] = Field(
        default=None,
        description="The Logstash configuration that parses the events, as of an input. Events that an agent of ours has "
        "parsed do not go through it again.",
    )
    ecs_compatibility: Annotated[Literal["v8", "v1", "disabled"], Unit("v8, v1 or disabled")] = Field(
        default="v8",
        description="The names that the pipeline's grok patterns and filters use by default, as in Logstash.",
    )
    timezone: Annotated[str | None, AfterValidator(iana_zone), Unit("IANA time zone")] = Field(
        default=None, description="The zone of timestamps that carry no offset. Default: the machine's."
    )
    fields: Fields = Field(default={}, description="Added to each event, where it has none of that name itself.")
    fields_under_root: Flag = Field(
        default=False, description="Add `fields` at the top of the event instead of under `fields`."
    )
    tags: Tags = Field(default=(), description="Added to each event's `tags`.")
    max_connections: Annotated[int, Unit("number")] = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="Clients at the same time; a new one takes the place of an idle one.",
    )
    max_event_bytes: Size = Field(
        default=32 << 20,
        ge=1024,
        le=1 << 30,
        description="A client that sends a larger event is closed.",
    )
    max_unfinished_bytes: Size = Field(
        default=64 << 20,
        ge=1 << 20,
        description="What has come of events that are not whole yet, over all clients; above, the client with the most is closed.",
    )
    client_inactivity_timeout: Seconds = Field(
        default=900.0,
        gt=0,
        description="A client that has nothing on its way for this long is closed; Beats come again.",
    )

    @property
    def address(self) -> tuple[str, int]:
        """Where to listen."""
        name, _, port = self.host.rpartition(":")
        return name.strip("[]"), int(port)

    @property
    def tls(self) -> bool:
        """Whether TLS is spoken."""
        return self.ssl.certificate is not None if self.ssl.enabled is None else self.ssl.enabled

    @model_validator(mode="after")
    def _safe(self) -> ReceiveSettings:
        if not self.ssl.certificate and self.ssl.enabled is None and not _LOOPBACK.fullmatch(self.host):
            msg = (
                "ssl.certificate is missing: name a certificate and its key, or write ssl.enabled: false"
                " if events shall come unencrypted and from anybody"
            )
            raise ValueError(msg)
        if self.max_unfinished_bytes < 2 * self.max_event_bytes:
            msg = "max_unfinished_bytes must be at least twice max_event_bytes"
            raise ValueError(msg)
        return self


__all__ = ["ReceiveSettings", "ReceiveSslSettings"]
