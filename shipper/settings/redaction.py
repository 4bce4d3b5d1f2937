"""Secrets are never shown: not in messages, not by ``shipper config show``."""

from __future__ import annotations

import base64
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import BaseModel, SecretStr

from shipper.settings.binding import keys_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shipper.settings.model import Settings

HIDDEN = "********"
_USERINFO = re.compile(r"(?<=://)[^/@\s]*:[^@\s]*(?=@)")
_ESCAPED = re.compile("%[0-9A-F]{2}")
_FEW = 4
"""Characters of a secret's base64 without its padding: fewer may stand in any word."""


def redacted(text: str, secrets: Iterable[str]) -> str:
    """``text`` without secrets, and without a user's password in an address."""
    for form in _forms(frozenset(secrets)):
        text = text.replace(form, HIDDEN)
    return _USERINFO.sub(HIDDEN, text)


@lru_cache(maxsize=64)
def _forms(secrets: frozenset[str]) -> tuple[str, ...]:
    """All that they may stand as in a text, the longest first: as they are, written by Python or JSON, in headers and addresses."""
    forms = set()
    for secret in filter(None, secrets):
        raw = secret.encode("utf-8", "surrogateescape")
        coded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
        bare = {bare for each in coded if len(bare := each.rstrip("=")) >= _FEW}
        written = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
        quoted = {quote(each, safe="") for each in (raw, *(each.encode() for each in coded))}
        forms |= (
            coded | bare | written | quoted | {_ESCAPED.sub(lambda found: found[0].lower(), each) for each in quoted}
        )
    return tuple(sorted(forms, key=len, reverse=True))


def shown(settings: Settings) -> str:
    """The settings in use as YAML, those too that nobody has set. Secrets are hidden, wherever they stand."""
    import yaml  # noqa: PLC0415 - only to show them

    return yaml.safe_dump(_plain(settings, settings.secrets), sort_keys=False, allow_unicode=True, width=120)


def _plain(value: Any, secrets: frozenset[str]) -> Any:
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        named = {keys_of(name, info).name: (name, getattr(value, name)) for name, info in fields.items()}
        return {
            key: {each.kind: _plain(each, secrets)} if name == "output" else _plain(each, secrets)
            for key, (name, each) in named.items()
            if name != "kind" and each is not None
        }
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, dict):
        return {str(key): _plain(each, secrets) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, secrets) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redacted(str(value), secrets)
