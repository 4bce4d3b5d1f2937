"""Where the receiver listens and for whom: addresses, certificates, mistakes in its settings."""

import ssl

import pytest
import trustme
from receiving import event, receiving, sent

from shipper.errors import InputError, RefusedError, SettingsError
from shipper.receiver.service import Receiver
from shipper.settings import from_mapping


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("receiver")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.crt")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    authority.issue_cert("agent@example.org").private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    trustme.CA().issue_cert("agent@example.org").private_key_and_cert_chain_pem.write_to_path(folder / "stranger.pem")
    return folder


def trusting(certificates, client=None):
    context = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    if client:
        context.load_cert_chain(certificates / client)
    return context


@pytest.mark.parametrize(("client", "welcome"), [("client.pem", True), ("stranger.pem", False), (None, False)])
def test_tls_with_client_certificates(tmp_path, gate, certificates, client, welcome):
    own = {
        "ssl.certificate": str(certificates / "server.pem"),
        "ssl.certificate_authorities": str(certificates / "ca.crt"),
    }
    with receiving(tmp_path, **own) as receiver:
        if welcome:
            assert sent(receiver, [event(1)], context=trusting(certificates, client)) == 1
        else:
            with pytest.raises(OSError):  # noqa: PT011 - reset, refused or an alert: it depends on who is first
                sent(receiver, [event(1)], context=trusting(certificates, client))
    assert len(gate.stored) == welcome


def test_client_certificates_may_be_optional(tmp_path, gate, certificates):
    own = {
        "ssl.certificate": str(certificates / "server.pem"),
        "ssl.certificate_authorities": str(certificates / "ca.crt"),
        "ssl.client_authentication": "optional",
    }
    with receiving(tmp_path, **own) as receiver:
        assert sent(receiver, [event(1)], context=trusting(certificates)) == 1


@pytest.mark.parametrize(
    ("receive", "why"),
    [
        ({}, "ssl.certificate is missing"),
        ({"host": "0.0.0.0"}, "ssl.certificate is missing"),
        ({"host": "http://x"}, "is not an address to listen on"),
        ({"ssl.enabled": True, "host": "127.0.0.1"}, "enabled without certificate"),
        ({"ssl.enabled": False, "ssl.client_authentication": "required"}, "client_authentication is required"),
        ({"ssl.enabled": False, "ssl.key": "/k"}, "key is set without certificate"),
        ({"ssl.enabled": False, "max_event_bytes": "40MiB"}, "at least twice"),
        ({"ssl.enabled": False, "colour": "red"}, "is not a setting"),
    ],
)
def test_mistakes_in_the_settings(receive, why):
    with pytest.raises(SettingsError, match=why):
        from_mapping({"receive": receive})


@pytest.mark.parametrize(
    ("host", "address"),
    [("0.0.0.0", ("0.0.0.0", 5043)), (":5044", ("0.0.0.0", 5044)), ("[::]", ("::", 5043)), ("[::1]:1", ("::1", 1))],
)
def test_addresses(host, address):
    assert from_mapping({"receive": {"host": host, "ssl.enabled": False}}).receive.address == address


def test_a_port_that_is_taken(tmp_path, gate):
    with receiving(tmp_path) as receiver:
        host = f"127.0.0.1:{receiver.address[1]}"
        settings = from_mapping({"receive": {"host": host}, "path.data": str(tmp_path / "other")})
        with pytest.raises(InputError, match="cannot be listened on"):
            Receiver(settings)


def test_a_certificate_that_cannot_be_read(tmp_path):
    settings = from_mapping({"receive": {"ssl.certificate": str(tmp_path / "no.pem")}, "path.data": str(tmp_path)})
    with pytest.raises(RefusedError, match="No such file"):
        Receiver(settings)


def test_settings_without_the_section(tmp_path):
    with pytest.raises(SettingsError, match="receive is missing"):
        Receiver(from_mapping({"inputs": [{"paths": ["/x"]}], "path.data": str(tmp_path)}))
