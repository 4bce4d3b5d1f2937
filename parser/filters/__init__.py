"""The filters, by the names that a configuration uses."""

from __future__ import annotations

from typing import Final

from parser.filters.base import Filter
from parser.filters.date import DateFilter
from parser.filters.dissect import DissectFilter
from parser.filters.drop import DropFilter
from parser.filters.grok import GrokFilter
from parser.filters.json import JsonFilter
from parser.filters.kv import KvFilter
from parser.filters.mutate import MutateFilter
from parser.filters.prune import PruneFilter
from parser.filters.translate import TranslateFilter
from parser.filters.truncate import TruncateFilter

_TYPES: Final[tuple[type[Filter], ...]] = (
    DateFilter,
    DissectFilter,
    DropFilter,
    GrokFilter,
    JsonFilter,
    KvFilter,
    MutateFilter,
    PruneFilter,
    TranslateFilter,
    TruncateFilter,
)
FILTERS: Final[dict[str, type[Filter]]] = {filter_type.name: filter_type for filter_type in _TYPES}

__all__ = [
    "FILTERS",
    "DateFilter",
    "DissectFilter",
    "DropFilter",
    "Filter",
    "GrokFilter",
    "JsonFilter",
    "KvFilter",
    "MutateFilter",
    "PruneFilter",
    "TranslateFilter",
    "TruncateFilter",
]
