"""TLS towards an output: a context from the settings, and what went wrong in words.

``ca_trusted_fingerprint`` works as Beats' does: the authority is looked for by its SHA-256 among the certificates that the
server sends, and *added to what is trusted*; the chain and the host's name are then verified as always. (Comparing the
fingerprint with the chain and verifying nothing else is weaker: an unverified chain is put together by names, not by
signatures.)
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import sys
import zlib
from typing import TYPE_CHECKING, NamedTuple

from shipper.errors import RefusedError

if TYPE_CHECKING:
    from shipper.settings import SslSettings

_DER = 2
"""``_ssl.ENCODING_DER``."""


class Hints(NamedTuple):
    """What to do when one side speaks TLS and the other does not."""

    secure: str
    plain: str


ELASTICSEARCH = Hints("write https:// in hosts", "write http:// in hosts")
LOGSTASH = Hints("set output.logstash.ssl.enabled", "set output.logstash.ssl.enabled: false")


def client_context(settings: SslSettings) -> ssl.SSLContext:
    """The context for connections to hosts with ``https://``. Raises ``RefusedError`` for files that cannot be used."""
    authorities = settings.certificate_authorities
    context = ssl.create_default_context() if not authorities else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in authorities:
        try:
            context.load_verify_locations(path)
        except OSError as error:
            why = "is not a PEM file with certificates" if isinstance(error, ssl.SSLError) else error.strerror
            raise RefusedError(f"ssl.certificate_authorities: {path}: {why}") from error
    if authorities:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if settings.certificate:
        passphrase = settings.key_passphrase.get_secret_value() if settings.key_passphrase else ""
        try:
            # without a callback OpenSSL would ask for the passphrase on the terminal
            context.load_cert_chain(settings.certificate, settings.key, lambda: passphrase)
        except OSError as error:
            files = " and ".join(str(path) for path in (settings.certificate, settings.key) if path)
            why = error.strerror
            if isinstance(error, ssl.SSLError):
                why = "are not a PEM certificate with its key, or ssl.key_passphrase is wrong"
            raise RefusedError(f"ssl.certificate: {files}: {why}") from error
    if settings.verification_mode != "full":
        context.check_hostname = False
    if settings.verification_mode == "none":
        context.verify_mode = ssl.CERT_NONE
    return context


def trust_by_fingerprint(context: ssl.SSLContext, fingerprint: str, host: str, port: int, timeout: float) -> None:
    """Fetch the certificate with this SHA-256 (hex digits) from the server and add it to what ``context`` trusts.

    Raises ``OSError`` when the server cannot be reached, ``ssl.SSLCertVerificationError`` when it sends no such certificate.
    """
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE  # nothing is sent over this connection
    with (
        socket.create_connection((host, port), timeout) as plain,
        blind.wrap_socket(plain, server_hostname=host) as tls,
    ):
        chain = _sent_chain(tls)
    for certificate in chain:
        if hashlib.sha256(certificate).hexdigest() == fingerprint:
            context.load_verify_locations(cadata=certificate)
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it may be the server's own certificate
            return
    sent = ", ".join(hashlib.sha256(each).hexdigest() for each in chain)
    error = ssl.SSLCertVerificationError(f"no certificate with ssl.ca_trusted_fingerprint; those sent have {sent}")
    error.verify_message = error.args[0]
    raise error


def _sent_chain(tls: ssl.SSLSocket) -> list[bytes]:
    """The certificates that the server sent, DER-encoded, its own first."""
    if sys.version_info >= (3, 13):
        return [bytes(each) for each in tls.get_unverified_chain()]
    certificates = tls._sslobj.get_unverified_chain()  # type: ignore[attr-defined]  # noqa: SLF001 - public from 3.13 on
    return [each.public_bytes(_DER) for each in certificates]


def explain(error: BaseException, timeout: float, *, secure: bool, hints: Hints = ELASTICSEARCH) -> str:
    """Why a connection failed, in words and with what to do, from the innermost cause that says something.

    ``timeout`` is the one that was in force, in seconds; ``secure``: whether TLS was spoken; ``hints``: how to change that.
    """
    from http.client import HTTPException, IncompleteRead  # noqa: PLC0415 - only when something is wrong

    hint = "it may want a client certificate, see ssl.certificate" if secure else f"if it wants TLS, {hints.secure}"
    closed = f"the server closed the connection before an answer came; {hint}"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return closed
        if isinstance(cause, ssl.SSLError):
            return _explain_tls(cause, hints)
        if isinstance(cause, zlib.error):
            return "its answer is no valid gzip: what is in front of it?"
        if isinstance(cause, IncompleteRead):
            return "the server closed the connection in the middle of its answer"
        if isinstance(cause, HTTPException) and not isinstance(cause, ConnectionError):
            return "what answers there does not speak HTTP: check the address and the port"
        if isinstance(cause, socket.gaierror):
            return f"the name cannot be resolved ({cause.strerror}): check hosts and the DNS"
        if isinstance(cause, TimeoutError):
            return f"no answer within {timeout:g} s"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused: nothing listens there"
        if isinstance(cause, ConnectionError):
            return closed
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror[0].lower() + cause.strerror[1:]
    return str(error) or type(error).__name__


def _causes(error: BaseException) -> list[BaseException]:
    """``error`` and all that it came from, the innermost first."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.append(each)
            inner = (each.__cause__, each.__context__, *each.args)
            waiting += [other for other in inner if isinstance(other, BaseException)]
    return found[::-1]


def _explain_tls(error: ssl.SSLError, hints: Hints) -> str:
    message = getattr(error, "verify_message", "") or (error.reason or "").lower().replace("_", " ") or str(error)
    if "mismatch" in message or "is not valid for" in message:
        advice = "use a name of the certificate in hosts, or ssl.verification_mode: certificate"
    elif "expired" in message or "not yet valid" in message:
        advice = "renew it, and check both clocks"
    elif "fingerprint" in message:
        advice = "check the setting"
    elif isinstance(error, ssl.SSLCertVerificationError):
        advice = "name its authority in ssl.certificate_authorities, or ssl.ca_trusted_fingerprint"
    elif "certificate required" in message or "handshake failure" in message:
        return f"TLS: {message}: it may want a client certificate, see ssl.certificate"
    elif "wrong version" in message or "record layer" in message or "http request" in message:
        return f"TLS: {message}: the server does not seem to speak TLS there, {hints.plain} if so"
    else:
        return f"TLS: {message}"
    return f"its certificate cannot be verified ({message}): {advice}"
