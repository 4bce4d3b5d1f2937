"""Kibana's own API: what it has of our saved objects, and their import.

``POST /api/saved_objects/_export`` and ``_import`` with ``kbn-xsrf``, the file as multipart; the same user or key as for
Elasticsearch, whose settings of TLS hold here too.
"""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import urllib3

from shipper import __version__
from shipper.elastic.objects import ndjson
from shipper.errors import RefusedError, SettingsError, UnavailableError
from shipper.outputs.tls import client_context, explain, trust_by_fingerprint
from shipper.settings.redaction import redacted

if TYPE_CHECKING:
    from shipper.settings import ElasticsearchOutputSettings

_TIMEOUT = 60.0


class Kibana:
    """One Kibana, and a space in it."""

    def __init__(self, url: str, space: str | None, output: ElasticsearchOutputSettings) -> None:
        """``output`` has the credentials and TLS. Raises ``SettingsError`` for what is no address."""
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            host, port = parts.hostname, parts.port or 5601
        except ValueError:
            host, port = None, 0
        if not host or parts.scheme not in {"http", "https"} or parts.query or parts.username:
            raise SettingsError(f"{redacted(url, ())} is not the address of a Kibana: write https://kibana:5601")
        self.name = f"Kibana at {parts.scheme}://{host}:{port}{parts.path.rstrip('/')}"
        self._prefix = parts.path.rstrip("/") + (f"/s/{quote(space, safe='')}" if space else "")
        self._secure = parts.scheme == "https"
        self._headers = {"kbn-xsrf": "elk-shipper", "user-agent": f"elk-shipper/{__version__}"}
        if output.authorization:
            self._headers["authorization"] = output.authorization
        self._secrets = output.secrets
        self._fingerprint = output.ssl.ca_trusted_fingerprint if output.ssl.verification_mode != "none" else None
        self._address = (host, port)
        self._context = client_context(output.ssl) if self._secure else None
        timeout = urllib3.Timeout(connect=10.0, read=_TIMEOUT)
        if self._context is None:
            self._pool = urllib3.HTTPConnectionPool(host, port, timeout=timeout, maxsize=1)
            return
        if self._context.verify_mode == ssl.CERT_NONE:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._pool = urllib3.HTTPSConnectionPool(
            host,
            port,
            timeout=timeout,
            maxsize=1,
            ssl_context=self._context,
            cert_reqs=self._context.verify_mode,
            assert_hostname=None if self._context.check_hostname else False,
        )

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()

    def has(self, objects: list[dict[str, Any]]) -> bool:
        """Whether all of them are there, as they are: the dashboard, which comes last, carries what tells it.

        Raises ``UnavailableError`` and ``RefusedError``.
        """
        wanted = {
            "objects": [{"type": each["type"], "id": each["id"]} for each in objects],
            "includeReferencesDeep": False,
            "excludeExportDetails": True,
        }
        body = json.dumps(wanted).encode()
        status, answer = self._request(
            "/api/saved_objects/_export", {"body": body}, {"content-type": "application/json"}
        )
        if status == 400:  # some are missing
            return False
        if status != 200:
            raise self._refusal("export", status, answer)
        try:
            there = [json.loads(line) for line in answer.splitlines() if line]
            descriptions = {(each["type"], each["id"]): each["attributes"].get("description") for each in there}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise RefusedError(f"{self.name}: its answer is not Kibana's: check the address") from None
        ours = objects[-1]
        same = descriptions.get((ours["type"], ours["id"])) == ours["attributes"]["description"]
        return same and len(descriptions) == len(objects)

    def put(self, objects: list[dict[str, Any]]) -> int:
        """Import them over what is there; how many there were. Raises ``UnavailableError`` and ``RefusedError``."""
        file = ("elk-shipper.ndjson", ndjson(objects).encode(), "application/x-ndjson")
        status, answer = self._request("/api/saved_objects/_import?overwrite=true", {"fields": {"file": file}}, {})
        if status != 200:
            raise self._refusal("import", status, answer)
        parsed = _parsed(answer)
        if not parsed.get("success"):
            faults = "; ".join(
                f"{each.get('type')} {each.get('id')}: {each.get('error', {}).get('type', 'unknown')}"
                for each in parsed.get("errors", [])
            )
            raise RefusedError(f"{self.name}: it did not take everything: {faults or 'it does not say why'}")
        return int(parsed.get("successCount", 0))

    def _request(self, path: str, what: dict[str, Any], headers: dict[str, str]) -> tuple[int, bytes]:
        try:
            if self._context is not None and self._fingerprint is not None:
                trust_by_fingerprint(self._context, self._fingerprint, *self._address, 10.0)
                self._fingerprint = None
            answer = self._pool.request(
                "POST", self._prefix + path, headers=self._headers | headers, retries=False, redirect=False, **what
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"{self.name}: {explain(error, _TIMEOUT, secure=self._secure)}") from error
        return answer.status, answer.data

    def _refusal(self, what: str, status: int, answer: bytes) -> UnavailableError | RefusedError:
        why = redacted(str(_parsed(answer).get("message") or f"it answered {status}"), self._secrets)
        if status == 401:
            return RefusedError(f"{self.name}: {why}: check the user and the password, or the API key")
        if status == 403:
            return RefusedError(
                f"{self.name}: the user needs Kibana's privilege Saved Objects Management: All to {what}: {why}"
            )
        if status in {301, 302, 307, 308, 404}:
            return RefusedError(f"{self.name}: it answered {status}: check the address, its base path and the space")
        if status == 503 or status >= 500:
            return UnavailableError(f"{self.name}: {why}: it may not be ready yet")
        return RefusedError(f"{self.name}: {what}: {why}")


def _parsed(answer: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(answer)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
