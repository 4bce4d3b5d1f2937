from __future__ import annotations

import json
from urllib.request import Request, urlopen

import pytest


@pytest.fixture
def request_es(elasticsearch_url):
    """``request_es("POST", "/index/_search", {...})``: the answer's JSON. Raises ``HTTPError``."""

    def request(method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = Request(elasticsearch_url + path, data, {"content-type": "application/json"}, method=method)
        with urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    return request
