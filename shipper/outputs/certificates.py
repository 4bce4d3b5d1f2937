"""Whether the files that ``ssl`` names can be used, found out before anything is sent."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from shipper.settings import SslSettings


def unusable(settings: SslSettings) -> list[tuple[str, str]]:
    """What is wrong: the setting's name below ``ssl``, and the reason. No connection is made."""
    found = []
    for at, path in enumerate(settings.certificate_authorities):
        if why := _unreadable(path) or _no_authority(path):
            found.append((f"certificate_authorities[{at}]", f"{path} {why}"))
    certificate, key = settings.certificate, settings.key
    if certificate is None:
        return found
    if why := _unreadable(certificate):
        found.append(("certificate", f"{certificate} {why}"))
    elif key and (why := _unreadable(key)):
        found.append(("key", f"{key} {why}"))
    elif why := _no_pair(certificate, key, settings):
        found.append(("key" if key else "certificate", f"{key or certificate} {why}"))
    return found


def _unreadable(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return f"cannot be read: {(error.strerror or str(error)).lower()}"
    return ""


def _no_authority(path: Path) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        return "holds no certificate in PEM"
    return ""


def _no_pair(certificate: Path, key: Path | None, settings: SslSettings) -> str:
    secret = settings.key_passphrase
    asked = []

    def passphrase() -> str:
        asked.append(True)
        return secret.get_secret_value() if secret else ""

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, passphrase)
    except ssl.SSLError as error:
        if asked:
            return "is encrypted, and key_passphrase does not open it" if secret else "is encrypted: set key_passphrase"
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"is not the key of {certificate}"
        return "holds no key in PEM" if key else "holds no certificate with its key in PEM: name the key too"
    return ""
