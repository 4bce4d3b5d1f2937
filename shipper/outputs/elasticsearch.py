"""Elasticsearch, by bulk requests whose bodies were encoded when they were parsed.

The official client's transport is used, not its high layer: a body is bytes already and an answer is looked at as bytes,
and the transport alone is 8 MB lighter than the package ``elasticsearch``, which sits on it. Two more things follow:

- Client 9 declares its requests ``compatible-with=9``, which servers 8 refuse. Plain ``application/json`` and
  ``application/x-ndjson``, as sent here, are understood by both.
- Its retries are off: ``delivery/sender.py`` owns them. Only a node that cannot be reached is passed over for the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
from elastic_transport import ConnectionError as NodeConnectionError
from elastic_transport import ConnectionTimeout, HttpHeaders, TransportError
from isal import igzip

from shipper import __version__
from shipper.errors import RefusedError, TooLargeError, UnavailableError, UnfitError
from shipper.outputs.base import Output
from shipper.outputs.batch import Outcomes, Rejection
from shipper.outputs.transport import open_transport
from shipper.settings.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shipper.outputs.batch import Batch
    from shipper.settings import ElasticsearchOutputSettings

_FILTER = "filter_path=errors,items.*.status,items.*.error,items.*.failure_store"
_ALL_WELL = b'{"errors":false,"items":['
_TARGET_FAULTS = frozenset(
    {
        "cluster_block_exception",  # read-only, metadata locked: 403
        "index_closed_exception",  # 400
        "index_not_found_exception",  # 404: automatic creation is off
        "security_exception",  # 403: the key may not write there
        "validation_exception",  # 400: no room for one more shard
    }
)
"""Errors of an item that are no fault of its document: a person mends the target, and the document is sent again.

Taken as every other 4xx is, for a reject, they would put the whole stream among the rejects while an index is read-only.
"""

_SPEAKING = _TARGET_FAULTS | {"circuit_breaking_exception", "illegal_argument_exception", "status_exception"}
"""Errors whose reason is about the target, the server or the request, not about a document."""


class ElasticsearchOutput(Output):
    """Bulk ``create`` into a data stream or an index. A document whose id is there already counts as delivered."""

    def __init__(self, settings: ElasticsearchOutputSettings) -> None:
        """Connects to nothing yet. Raises ``RefusedError`` when certificates cannot be loaded."""
        self.name = f"elasticsearch at {', '.join(settings.hosts)}"
        self.version = ""
        """The server's, once ``check`` has seen it; empty where the user may not ask."""
        self._target = settings.target
        self._bulk = f"/{quote(settings.target, safe='')}/_bulk?{_FILTER}"
        self._gzip = min(settings.gzip_level, 3)
        headers = _headers(settings)
        self._headers = HttpHeaders(headers).freeze()
        self._json_headers = HttpHeaders(headers | {"content-type": "application/json"}).freeze()
        self._bulk_headers = HttpHeaders(headers | ({"content-encoding": "gzip"} if self._gzip else {})).freeze()
        self._transport = open_transport(settings)
        self._nodes = len(settings.hosts)
        self._secrets = settings.secrets

    def check(self) -> None:
        """Ask who is there. Raises ``UnavailableError``, and ``RefusedError`` for wrong credentials or another product."""
        status, headers, answer = self._request("GET", "/")
        if status == 403 and b"cluster:monitor/main" in answer:
            return  # a key that may only write may not ask for the version
        if status != 200:
            self._raise_for(status, answer)
        version = _parsed(answer).get("version")
        if headers.get("x-elastic-product") != "Elasticsearch" or not isinstance(version, dict):
            what = version.get("distribution", "") if isinstance(version, dict) else ""
            hint = f" but {what}" if what else ""
            raise RefusedError(f"{self.name}: this is not Elasticsearch{hint}: check output.elasticsearch.hosts")
        self.version = str(version.get("number", ""))

    def get(self, path: str) -> dict[str, Any]:
        """The cluster's answer to a question, a JSON object. Raises as ``check`` does."""
        status, _, answer = self._request("GET", path)
        if status == 403:
            reason = self.without_secrets(_reason_of(_parsed(answer).get("error"), "it is forbidden"))
            raise RefusedError(f"{self.name}: the user or key may not ask for {path.partition('?')[0]}: {reason}")
        if status != 200:
            self._raise_for(status, answer)
        return _parsed(answer)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Status and answer, a JSON object, of one request with a JSON body. Raises ``UnavailableError`` for no answer."""
        status, _, answer = self._request(
            method, path, None if body is None else orjson.dumps(body), self._json_headers
        )
        return status, _parsed(answer)

    def send(self, batch: Batch) -> Outcomes:
        """One bulk request, to one node."""
        if not batch.count:
            return Outcomes()
        body = igzip.compress(batch.body, self._gzip) if self._gzip else batch.body
        status, _, answer = self._request("POST", self._bulk, body)
        if status != 200:
            self._raise_for(status, answer)
        # Without errors nothing but `{"create":{"status":201}}` is in there: counting is enough, and ten times faster.
        if (
            answer.startswith(_ALL_WELL)
            and b"failure_store" not in answer
            and answer.count(b'"status":') == batch.count
        ):
            return Outcomes()
        return self._outcomes(answer, batch.count)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _request(
        self, method: str, target: str, body: bytes | None = None, headers: HttpHeaders | None = None
    ) -> tuple[int, HttpHeaders, bytes]:
        """Status, headers and body of the first node's answer. A node that cannot be reached is passed over."""
        headers = headers or (self._bulk_headers if body else self._headers)
        for left in range(self._nodes - 1, -1, -1):
            try:
                meta, answer = self._transport.perform_request(method, target, body=body, headers=headers)
            except (ConnectionTimeout, NodeConnectionError) as error:
                # after a timeout the request may still be worked on: the sender waits before it is sent again
                if not left or isinstance(error, ConnectionTimeout):
                    raise UnavailableError(error.message) from error
            except TransportError as error:  # an answer of a kind that no Elasticsearch gives
                raise UnavailableError(f"{self.name}: {error.message}") from error
            else:
                return meta.status, meta.headers, answer or b""
        raise AssertionError

    def _raise_for(self, status: int, answer: bytes) -> None:
        """The error for a whole request that did not succeed."""
        error = _parsed(answer).get("error")
        said = self.without_secrets(_trouble_of(error, ""))
        why = f"{self.name}: {said} (status {status})" if said else f"{self.name}: it answered {status}"
        if status == 413:
            raise TooLargeError(f"{self.name}: the request is larger than the server takes (http.max_content_length)")
        if status == 401:
            raise RefusedError(f"{why}: check username and password, or api_key, of output.elasticsearch")
        if status == 403:
            raise RefusedError(f"{why}: the user or key needs create_doc and auto_configure on {self._target}")
        if 300 <= status < 400:
            raise RefusedError(f"{why}, a redirection, which is not followed: hosts must name Elasticsearch itself")
        if status in {404, 405}:
            raise RefusedError(
                f"{self.name}: it answered {status}: this is not the address of an Elasticsearch, check hosts"
            )
        if status in {408, 429} or status >= 500:
            hint = "" if error else ", and not as Elasticsearch does: look at what is in front of it"
            raise UnavailableError(f"{why}{hint}")
        if status == 400:
            # Elasticsearch itself refuses documents one by one; what is in front of it may not like what it reads in one.
            raise UnfitError(f"{why}: look at what is in front of it, and at output.elasticsearch")
        raise RefusedError(why)

    def _outcomes(self, answer: bytes, count: int) -> Outcomes:
        """Each document's own. Raises ``UnavailableError`` for what is not the answer of a bulk request."""
        items = _parsed(answer).get("items")
        if not isinstance(items, list):
            raise UnavailableError(
                f"{self.name}: the answer ({len(answer)} bytes) is not that of a bulk request: what is in front of it?"
            )
        if len(items) != count:
            reason = f"the answer has {len(items)} outcomes for {count} documents"
            return Outcomes(retry=list(range(count)), reason=reason)
        outcomes = Outcomes()
        refused = 0
        for at, item in enumerate(items):
            result = next(iter(item.values()), None) if isinstance(item, dict) else None
            status = result.get("status") if isinstance(result, dict) else None
            if not isinstance(result, dict) or not isinstance(status, int):
                outcomes.retry.append(at)
                outcomes.reason = outcomes.reason or "an outcome is missing in the answer"
            elif status < 300:
                outcomes.failure_store += result.get("failure_store") == "used"
            elif status == 409:
                outcomes.duplicates += 1
            elif status == 429 or status >= 500 or _type_of(result.get("error")) in _TARGET_FAULTS:
                refused += status < 500 and status != 429
                outcomes.retry.append(at)
                outcomes.reason = outcomes.reason or self.without_secrets(
                    _trouble_of(result.get("error"), f"status {status}")
                )
            else:
                outcomes.rejected.append(Rejection(at, status, _reason_of(result.get("error"), f"status {status}")))
        if refused == count:
            raise RefusedError(f"{self.name}: {outcomes.reason}")
        return outcomes

    def without_secrets(self, text: str) -> str:
        """What the server says: it may repeat what it was sent."""
        return redacted(text, self._secrets)


def _headers(settings: ElasticsearchOutputSettings) -> dict[str, str]:
    headers = {
        "accept": "application/json",
        "content-type": "application/x-ndjson",
        "user-agent": f"elk-shipper/{__version__}",
    }
    if settings.gzip_level:
        headers["accept-encoding"] = "gzip"
    if settings.authorization:
        headers["authorization"] = settings.authorization
    return headers


def _parsed(answer: bytes) -> dict[str, Any]:
    """The answer as a JSON object; an empty one when it is none."""
    try:
        parsed = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _type_of(error: Any) -> str:
    return str(error.get("type", "")) if isinstance(error, dict) else ""


def _trouble_of(error: Any, default: str) -> str:
    """What may be logged of an error: its type, and its reason only where that never quotes a document.

    Others do: a shard that is not there is reported with the request, which has the document's source in it.
    """
    kind = _type_of(error)
    if kind in _SPEAKING:
        return f"{kind}: {error.get('reason')}"
    return kind or default


def _reason_of(error: Any, default: str) -> str:
    """``type: reason, caused by type: reason`` of an error object of Elasticsearch."""
    parts: Sequence[str] = []
    while isinstance(error, dict) and len(parts) < 5:
        text = ": ".join(str(error[key]) for key in ("type", "reason") if error.get(key))
        parts = [*parts, text] if text and text not in parts else parts
        error = error.get("caused_by")
    return ", caused by ".join(parts) or (str(error) if error else default)
