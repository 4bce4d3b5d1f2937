"""The filters, by the names that a configuration uses."""

from __future__ import annotations

from typing import Final

from parser.filters.base import Filter
from parser.filters.date import DateFilter
from parser.filters.drop import DropFilter
from parser.filters.grok import GrokFilter
from parser.filters.json import JsonFilter
from parser.filters.mutate import MutateFilter

FILTERS: Final[dict[str, type[Filter]]] = {
    filter_type.name: filter_type for filter_type in (DateFilter, DropFilter, GrokFilter, JsonFilter, MutateFilter)
}

__all__ = ["FILTERS", "DateFilter", "DropFilter", "Filter", "GrokFilter", "JsonFilter", "MutateFilter"]
