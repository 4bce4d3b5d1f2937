"""Which servers the output trusts, and what it says of the others."""

from __future__ import annotations

import ssl

import pytest
import trustme
from bulk_server import BATCH, BulkServer, bulk, item
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from shipper.errors import RefusedError, UnavailableError


@pytest.fixture(scope="module")
def folder(tmp_path_factory, authority):
    folder = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    client = authority.issue_cert("agent@example.com")
    client.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other.pem")
    (folder / "broken.pem").write_text("no certificate")
    return folder


@pytest.fixture
def serve(authority):
    """A TLS server with a certificate for ``name``."""
    started = []

    def serve(name="127.0.0.1", *, client=False, chain=(), **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = authority.issue_cert(name, **options)
        certificate.configure_cert(context)
        if chain:
            with certificate.private_key_and_cert_chain_pem.tempfile() as own, trustme.Blob(b"").tempfile() as joined:
                with open(own, "rb") as source, open(joined, "wb") as target:
                    target.write(source.read() + b"".join(each.bytes() for each in chain))
                context.load_cert_chain(joined)
        if client:
            authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        server = BulkServer(context)
        server.answers(bulk(*[item(201)] * 3))
        server.url = f"https://127.0.0.1:{server.port}"
        started.append(server)
        return server

    yield serve
    for server in started:
        server.stop()


def fingerprint(authority):
    return x509.load_pem_x509_certificate(authority.cert_pem.bytes()).fingerprint(SHA256()).hex()


def test_tls_with_an_authority(serve, connect, folder):
    output = connect(serve().url, **{"ssl.certificate_authorities": str(folder / "ca.pem")})
    assert output.send(BATCH).retry == []
    assert output.send(BATCH).retry == []


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        (
            "127.0.0.1",
            {},
            r"its certificate cannot be verified \(.*\): name its authority in ssl.certificate_authorities",
        ),
        (
            "127.0.0.1",
            {"ssl.certificate_authorities": "other.pem"},
            "name its authority in ssl.certificate_authorities",
        ),
        (
            "es.example.com",
            {"ssl.certificate_authorities": "ca.pem"},
            r"not valid for '127\.0\.0\.1'.*ssl.verification_mode: certificate",
        ),
        (
            "127.0.0.1",
            {"ssl.certificate_authorities": "other.pem", "ssl.verification_mode": "certificate"},
            "name its authority",
        ),
        (
            "127.0.0.1",
            {"ssl.ca_trusted_fingerprint": "ab" * 32},
            r"no certificate with ssl\.ca_trusted_fingerprint.*check the setting",
        ),
    ],
)
def test_tls_that_cannot_be_trusted(serve, connect, folder, name, settings, message):  # noqa: PLR0917 - a row each
    settings = {key: str(folder / value) if value.endswith(".pem") else value for key, value in settings.items()}
    server = serve(name)
    with pytest.raises(UnavailableError, match=message) as caught:
        connect(server.url, **settings).send(BATCH)
    assert server.url in str(caught.value)
    assert server.requests == [], "nothing was sent"


@pytest.mark.parametrize(("name", "mode"), [("es.example.com", "certificate"), ("es.example.com", "none")])
def test_tls_with_less_verification(serve, connect, folder, name, mode):
    trusted = {"ssl.certificate_authorities": str(folder / "ca.pem")} if mode == "certificate" else {}
    assert connect(serve(name).url, **{"ssl.verification_mode": mode, **trusted}).send(BATCH).retry == []


def test_tls_with_an_expired_certificate(serve, connect, folder):
    from datetime import UTC, datetime  # noqa: PLC0415 - here only

    server = serve(not_before=datetime(2019, 1, 1, tzinfo=UTC), not_after=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(UnavailableError, match=r"expired.*renew it"):
        connect(server.url, **{"ssl.certificate_authorities": str(folder / "ca.pem")}).send(BATCH)


def test_tls_with_the_fingerprint_of_the_authority(serve, connect, authority):
    server = serve(chain=[authority.cert_pem])
    output = connect(server.url, **{"ssl.ca_trusted_fingerprint": fingerprint(authority).upper()})
    assert output.send(BATCH).retry == []


def test_a_fingerprint_does_not_replace_the_check_of_the_name(serve, connect, authority):
    server = serve("es.example.com", chain=[authority.cert_pem])
    with pytest.raises(UnavailableError, match="not valid for"):
        connect(server.url, **{"ssl.ca_trusted_fingerprint": fingerprint(authority)}).send(BATCH)


def test_a_fingerprint_does_not_replace_the_check_of_the_chain(connect, authority):
    """Somebody else's certificate, with the real authority's beside it: issuer and name are right, the signature is not."""
    fake = trustme.CA(organization_name="fake")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = fake.issue_cert("127.0.0.1")
    with trustme.Blob(
        certificate.private_key_and_cert_chain_pem.bytes() + authority.cert_pem.bytes()
    ).tempfile() as pem:
        context.load_cert_chain(pem)
    server = BulkServer(context)
    try:
        with pytest.raises(UnavailableError, match="cannot be verified"):
            connect(f"https://127.0.0.1:{server.port}", **{"ssl.ca_trusted_fingerprint": fingerprint(authority)}).send(
                BATCH
            )
        assert server.requests == []
    finally:
        server.stop()


def test_tls_with_a_client_certificate(serve, connect, folder):
    settings = {"ssl.certificate_authorities": str(folder / "ca.pem"), "ssl.certificate": str(folder / "client.pem")}
    assert connect(serve(client=True).url, **settings).send(BATCH).retry == []


def test_tls_without_the_client_certificate_that_is_wanted(serve, connect, folder):
    with pytest.raises(UnavailableError, match="it may want a client certificate"):
        connect(serve(client=True).url, **{"ssl.certificate_authorities": str(folder / "ca.pem")}).send(BATCH)


def test_https_to_a_server_that_speaks_http(server, connect):
    with pytest.raises(UnavailableError, match="does not seem to speak TLS there, write http://"):
        connect(f"https://127.0.0.1:{server.port}").send(BATCH)


@pytest.mark.parametrize(
    ("setting", "name", "message"),
    [
        ("ssl.certificate_authorities", "none.pem", r"ssl\.certificate_authorities: .*none\.pem: No such file"),
        ("ssl.certificate_authorities", "broken.pem", r"broken\.pem: is not a PEM file with certificates"),
        ("ssl.certificate", "none.pem", r"ssl\.certificate: .*none\.pem: No such file"),
        ("ssl.certificate", "ca.pem", "are not a PEM certificate with its key"),
    ],
)
def test_files_of_certificates_that_cannot_be_used(connect, folder, setting, name, message):
    with pytest.raises(RefusedError, match=message):
        connect("https://127.0.0.1", **{setting: str(folder / name)})
