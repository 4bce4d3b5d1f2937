from __future__ import annotations

import copy
import importlib
import json
import sys
from pathlib import Path

import orjson
import pytest

from parser.direct import compile_direct
from parser.timestamps import Timestamp

SCRIPTS = Path(__file__).parents[3] / "scripts"
NOW, PATH = Timestamp("2024-05-06T07:08:09.010Z"), '/var/log/100% "quoted" ü.log'


class Ways:
    """The two ways through a pipeline, for events as the shipper makes them."""

    def __init__(self, pipeline, fields=None):
        self.pipeline, self.fields = pipeline, fields or {}
        self.function = compile_direct(pipeline.statements, self.fields)

    def direct(self, *texts):
        """The documents of the direct way; ``None`` where an event has to take the general one."""
        if self.function is None:
            return [None] * len(texts)
        raws = [text if isinstance(text, bytes) else text.encode() for text in texts]
        return self.function(raws, range(7, 7 + len(raws)), orjson.dumps(PATH), orjson.dumps(NOW))

    def general(self, *texts):
        """The documents of the general way; ``None`` for an event that is dropped."""
        events = []
        for offset, text in enumerate(texts, 7):
            fields = copy.deepcopy(self.fields)
            message = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
            event = {"@timestamp": NOW, "message": message, **fields}
            event["log"] = {**fields.get("log", {}), "file": {"path": PATH}, "offset": offset}
            events.append(event)
        documents = self.pipeline.transform(events)
        for document in documents:
            if document is not None:
                document.pop("@metadata", None)
        return documents

    def check(self, *texts):
        """Hold the two against each other; gives the documents of the direct way, parsed."""
        found = []
        for text, direct, general in zip(texts, self.direct(*texts), self.general(*texts), strict=True):
            if direct is None:
                found.append(None)
                continue
            document = orjson.loads(direct)
            # As text, since 1, 1.0 and true are equal in Python.
            assert canonical(document) == canonical(orjson.loads(orjson.dumps(general))), (text, self.fields)
            found.append(document)
        return found


def canonical(document):
    return json.dumps(document, sort_keys=True, ensure_ascii=False)


@pytest.fixture(scope="session")
def ways():
    return Ways


@pytest.fixture(scope="session")
def spring_logs():
    """The generator of logs as a module."""
    if str(SCRIPTS) not in sys.path:
        sys.path.insert(0, str(SCRIPTS))
    return importlib.import_module("spring_logs")
