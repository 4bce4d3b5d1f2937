"""``shipper test output``: what works, with what rights. Nothing is written."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from shipper.elastic.cluster import ask, has_api
from shipper.elastic.keys import PRIVILEGES
from shipper.elastic.template import days, target_of
from shipper.errors import OutputError
from shipper.outputs.elasticsearch import ElasticsearchOutput
from shipper.outputs.tls import client_context, explain, trust_by_fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipper.elastic.template import Target
    from shipper.settings import ElasticsearchOutputSettings
    from shipper.settings.setup import SetupSettings

_SETUP = ("manage_index_templates", "manage_ilm", "manage_ingest_pipelines", "manage_own_api_key")
_TIMEOUT = 10.0


class Finding(NamedTuple):
    """One thing that was looked at."""

    good: bool | None
    """``None``: worth knowing, and no reason to fail."""
    what: str


def look(output: ElasticsearchOutputSettings, setup: SetupSettings) -> Iterator[Finding]:
    """Everything worth knowing about a cluster that documents are to go to; each host by itself first.

    Raises ``RefusedError`` for certificates that cannot be loaded.
    """
    answered = False
    for host in output.hosts:
        for finding in _host(output, host):
            answered = answered or (finding.good is True and not finding.what.startswith(f"{host}: TLS"))
            yield finding
    if not answered:
        return
    cluster = ElasticsearchOutput(output)
    target = target_of(output)
    try:
        yield from _rights(cluster, target)
        yield from _templates(cluster, target, setup)
    finally:
        cluster.close()


def _host(output: ElasticsearchOutputSettings, host: str) -> Iterator[Finding]:
    if host.startswith("https:"):
        yield _tls(output, host)
    cluster = ElasticsearchOutput(output.model_copy(update={"hosts": (host,)}))
    try:
        cluster.check()
        status, answer = cluster.ask("GET", "/")
    except OutputError as error:
        yield Finding(good=False, what=str(error))
        return
    finally:
        cluster.close()
    if status == 200:
        version = answer.get("version", {}).get("number", "?")
        yield Finding(good=True, what=f"{host}: Elasticsearch {version}, cluster {answer.get('cluster_name', '?')}")
        if str(version).split(".")[0] in {"1", "2", "5", "6", "7"}:
            yield Finding(good=False, what=f"{host}: version {version} is too old: 8.0 or later is needed")
    else:
        yield Finding(good=True, what=f"{host}: answers; the user may not ask for the version (cluster:monitor/main)")


def _tls(output: ElasticsearchOutputSettings, host: str) -> Finding:
    """The version, the cipher and the server's certificate, of a connection of our own."""
    parts = urlsplit(host)
    name, port = parts.hostname or "", parts.port or 9200
    context = client_context(output.ssl)
    try:
        if output.ssl.ca_trusted_fingerprint and context.verify_mode != ssl.CERT_NONE:
            trust_by_fingerprint(context, output.ssl.ca_trusted_fingerprint, name, port, _TIMEOUT)
        with (
            socket.create_connection((name, port), _TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=name) as tls,
        ):
            cipher = tls.cipher()
            words = [str(tls.version()), cipher[0] if cipher else "no cipher", _certificate(tls.getpeercert())]
    except OSError as error:
        return Finding(good=False, what=f"{host}: {explain(error, _TIMEOUT, secure=True)}")
    if context.verify_mode == ssl.CERT_NONE:
        return Finding(
            good=None, what=f"{host}: {', '.join(words[:2])}, the certificate is NOT verified (ssl.verification_mode)"
        )
    return Finding(good=True, what=f"{host}: {', '.join(words)}")


def _certificate(certificate: Any) -> str:
    """``certificate of CN, from CN, until DATE``; the dictionary is that of ``ssl``."""
    if not certificate:
        return "a certificate that is not verified"
    names = {kind: dict(pair for part in certificate.get(kind, ()) for pair in part) for kind in ("subject", "issuer")}
    subject, issuer = (
        names[kind].get("commonName") or names[kind].get("organizationName", "?") for kind in ("subject", "issuer")
    )
    return f"certificate of {subject}, from {issuer}, until {certificate.get('notAfter', '?')}"


def _rights(cluster: ElasticsearchOutput, target: Target) -> Iterator[Finding]:
    body = {
        "cluster": list(_SETUP),
        "index": [{"names": [target.stream], "privileges": list(PRIVILEGES)}],
    }
    try:
        status, answer = cluster.ask("POST", "/_security/user/_has_privileges", body)
        if status == 401:
            yield Finding(good=False, what="credentials: refused; check username and password, or api_key")
            return
        if status in {400, 404, 405, 500} and "has_all_requested" not in answer:
            yield Finding(good=None, what="rights: the cluster has no security, everybody may do everything")
            return
        if status != 200:
            ask(cluster, "POST", "/_security/user/_has_privileges", body)
            return
    except OutputError as error:
        yield Finding(good=False, what=str(error))
        return
    who = answer.get("username", "?")
    yield Finding(good=True, what=f"credentials: accepted, as {who}")
    has = answer.get("index", {}).get(target.stream, {})
    for privilege in PRIVILEGES:
        yield Finding(
            good=bool(has.get(privilege)), what=f"right {privilege} on {target.stream}: {_yes(has.get(privilege))}"
        )
    for privilege, given in sorted(answer.get("cluster", {}).items()):
        yield Finding(good=None, what=f"right {privilege} (for shipper setup only): {_yes(given)}")


def _yes(given: object) -> str:
    return "yes" if given else "no"


def _templates(cluster: ElasticsearchOutput, target: Target, setup: SetupSettings) -> Iterator[Finding]:
    """What ``shipper setup`` makes; a key that may only write may not look."""
    try:
        found = ask(cluster, "GET", f"/_index_template/{quote(target.name)}")
        hint = "there" if found else "missing: run shipper setup; without it the cluster's own template decides"
        yield Finding(good=None, what=f"index template {target.name}: {hint}")
        path = f"/_data_stream/{quote(target.stream)}"
        if not target.is_stream or not has_api(cluster, path):
            return
        streams = (ask(cluster, "GET", path) or {}).get("data_streams", [])
    except OutputError as error:
        yield Finding(good=None, what=f"templates: cannot be seen ({error})")
        return
    if not streams:
        yield Finding(good=None, what=f"data stream {target.stream}: is made with the first document")
        return
    stream = streams[0]
    kept = stream.get("lifecycle", {}).get("data_retention")
    how = f"ILM policy {stream['ilm_policy']}" if stream.get("ilm_policy") else f"retention {kept or 'for ever'}"
    asked = days(setup.retention) if setup.retention else "for ever"
    count = len(stream.get("indices", []))
    yield Finding(good=None, what=f"data stream {target.stream}: {count} indices, {how} (setup.retention: {asked})")
