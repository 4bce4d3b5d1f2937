"""Searching: a query's text → a tree (``kql``) → SQL (``sql``) → hits, counts, histograms (``searching``, ``plan``), new documents (``tail``)."""

from __future__ import annotations

from shipper.query.kql import parse
from shipper.query.searching import Histogram, Hit, Selection, count, histogram, scan, search
from shipper.query.tail import Tail

__all__ = ["Histogram", "Hit", "Selection", "Tail", "count", "histogram", "parse", "scan", "search"]
