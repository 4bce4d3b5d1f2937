"""TLS of the receiver, from its settings."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from shipper.errors import RefusedError

if TYPE_CHECKING:
    from shipper.settings.receive import ReceiveSslSettings


def server_context(settings: ReceiveSslSettings) -> ssl.SSLContext:
    """The context for connections from clients. Raises ``RefusedError`` for files that cannot be used."""
    assert settings.certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 1
    passphrase = settings.key_passphrase.get_secret_value() if settings.key_passphrase else ""
    try:
        # without a callback OpenSSL would ask for the passphrase on the terminal
        context.load_cert_chain(settings.certificate, settings.key, lambda: passphrase)
    except OSError as error:
        files = " and ".join(str(path) for path in (settings.certificate, settings.key) if path)
        why = error.strerror
        if isinstance(error, ssl.SSLError):
            why = "are not a PEM certificate with its key, or receive.ssl.key_passphrase is wrong"
        raise RefusedError(f"receive.ssl.certificate: {files}: {why}") from error
    for path in settings.certificate_authorities:
        try:
            context.load_verify_locations(path)
        except OSError as error:
            why = "is not a PEM file with certificates" if isinstance(error, ssl.SSLError) else error.strerror
            raise RefusedError(f"receive.ssl.certificate_authorities: {path}: {why}") from error
    context.verify_mode = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}[
        settings.clients
    ]
    if settings.certificate_authorities:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
