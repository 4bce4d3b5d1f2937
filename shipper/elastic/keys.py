"""An API key that may add documents to one data stream, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from shipper.elastic.cluster import ask, patiently, refusal
from shipper.errors import RefusedError

if TYPE_CHECKING:
    from shipper.outputs.elasticsearch import ElasticsearchOutput

PRIVILEGES = ("auto_configure", "create_doc")
"""On the data stream: make it when it is not there, and add documents; not read, change or delete them."""

CLUSTER_PRIVILEGES = ("cluster:monitor/main",)
"""Which version is there: the one question that ``output.check`` asks."""


class Key(NamedTuple):
    """A new API key. ``secret`` is shown once, by whoever made it, and kept nowhere."""

    name: str
    id: str
    secret: str

    @property
    def setting(self) -> str:
        """As ``output.elasticsearch.api_key`` takes it."""
        return f"{self.id}:{self.secret}"


def definition(name: str, stream: str) -> dict[str, Any]:
    """The body of the request."""
    role = {
        "cluster": list(CLUSTER_PRIVILEGES),
        "indices": [{"names": [stream], "privileges": list(PRIVILEGES)}],
    }
    return {"name": name, "role_descriptors": {"shipper": role}, "metadata": {"managed_by": "elk-shipper"}}


def existing(cluster: ElasticsearchOutput, name: str) -> str | None:
    """The id of a key of this name that is still good. Raises ``RefusedError`` where the cluster has no security."""
    path = f"/_security/api_key?name={quote(name, safe='')}&owner=true"
    status, answer = patiently(cluster, "GET", path)
    error = answer.get("error")
    if status in {400, 405} and (isinstance(error, str) or "disabled" in str(error)):
        raise RefusedError(f"{cluster.name}: has no security, so it has no API keys: leave --create-api-key out")
    if status >= 300:
        raise refusal(cluster, "GET", path, status, answer)
    for key in answer.get("api_keys", []):
        if not key.get("invalidated"):
            return str(key["id"])
    return None


def create(cluster: ElasticsearchOutput, name: str, stream: str) -> Key:
    """Make it. Raises ``UnavailableError`` and ``RefusedError``."""
    answer = ask(cluster, "POST", "/_security/api_key", definition(name, stream))
    return Key(name, str(answer["id"]), str(answer["api_key"]))
