"""The embedded log store: documents in SQLite, searchable, no server. See ``store/schema.py`` for what is on disk."""

from __future__ import annotations

from shipper.store.reader import Partition, Reader
from shipper.store.store import Store
from shipper.store.writer import Written

__all__ = ["Partition", "Reader", "Store", "Written"]
