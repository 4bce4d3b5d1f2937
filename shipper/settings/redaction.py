"""Secrets are never shown: not in messages, not by ``shipper config show``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretStr

from shipper.settings.binding import keys_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shipper.settings.model import Settings

HIDDEN = "********"
_USERINFO = re.compile(r"(?<=://)[^/@\s]*:[^@\s]*(?=@)")


def redacted(text: str, secrets: Iterable[str]) -> str:
    """``text`` without secrets, and without a user's password in an address."""
    for secret in sorted(secrets, key=len, reverse=True):
        for form in (secret, repr(secret)[1:-1]):
            text = text.replace(form, HIDDEN) if form else text
    return _USERINFO.sub(HIDDEN, text)


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
