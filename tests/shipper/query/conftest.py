from __future__ import annotations

import json

import pytest

from shipper.store import Store


class Shelf:
    """A store and a way to fill it: documents are called by their ``name``."""

    def __init__(self, path):
        self.store = Store(path, partition_documents=6)
        self.count = 0

    def add(self, *documents):
        names = [f"{document.pop('name', self.count + at):_>20}" for at, document in enumerate(documents)]
        self.count += len(documents)
        # One by one, so that the partitions fill up.
        for name, document in zip(names, documents, strict=True):
            self.store.write([name], [json.dumps(document).encode()])


@pytest.fixture(scope="session")
def make_shelf(tmp_path_factory):
    """Makes empty ones."""
    made = []

    def make():
        made.append(Shelf(tmp_path_factory.mktemp("shelf") / "store"))
        return made[-1]

    yield make
    for shelf in made:
        shelf.store.close()


@pytest.fixture
def shelf(make_shelf):
    return make_shelf()
