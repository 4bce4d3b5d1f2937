"""A histogram over time, drawn with characters: worst levels first, readable without colours too."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import TYPE_CHECKING

from shipper.cli.hits import level_style, local_time, zone_name
from shipper.query.fields import severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from shipper.query import Histogram

_BLOCKS = {5: "█", 4: "█", 3: "▓", 2: "▒", 1: "░", 0: "·", None: "-"}
_ASCII = {5: "#", 4: "#", 3: "=", 2: "-", 1: ".", 0: ".", None: "~"}
_UNITS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1000, "second"))


def draw(histogram: Histogram, width: int, encoding: str = "utf-8") -> Iterator[Text]:
    """The lines of the chart, ``width`` columns at most, in characters that ``encoding`` has."""
    from rich.text import Text  # noqa: PLC0415 - only when one is drawn

    shades = _BLOCKS if encoding.lower().replace("-", "").startswith("utf") else _ASCII
    totals: Counter[str] = Counter()
    for bucket in histogram.buckets:
        totals.update(bucket.counts)
    levels = sorted(totals, key=lambda level: (-1 if (rank := severity(level)) is None else rank, level), reverse=True)
    most = max(bucket.total for bucket in histogram.buckets)
    form = (
        "%Y-%m-%d"
        if histogram.width >= 86_400_000
        else "%Y-%m-%d %H:%M"
        if histogram.width >= 60_000
        else "%m-%d %H:%M:%S"
    )
    digits = len(f"{most:,}")
    start, end = local_time(histogram.buckets[0].start), local_time(histogram.buckets[-1].start + histogram.width)
    room = max(width - len(f"{start:{form}}") - digits - 4, 8)
    events = "event" if histogram.total == 1 else "events"
    zones = zone_name(start) if zone_name(start) == zone_name(end) else f"{zone_name(start)} to {zone_name(end)}"
    yield Text(
        f"{histogram.total:,} {events}, a line per {_duration(histogram.width)}, local time ({zones})", style="bold"
    )
    for bucket in histogram.buckets:
        line = Text(f"{local_time(bucket.start):{form}}  ")
        for level, cells in _cells([bucket.counts.get(level, 0) for level in levels], most, room, levels):
            line.append(shades[severity(level)] * cells, style=level_style(level))
        line.append(" " * (len(f"{start:{form}}") + 2 + room - line.cell_len))
        yield line.append(f"  {bucket.total:>{digits},}", style="default" if bucket.total else "dim")
    legend = Text()
    for level in levels:
        entry = f"{shades[severity(level)] * 2} {level or 'no level'} {totals[level]:,}"
        if legend and legend.cell_len + len(entry) + 3 > width:
            yield legend
            legend = Text()
        legend.append("   " if legend else "").append(entry, style=level_style(level))
    yield legend


def _cells(counts: list[int], most: int, room: int, levels: list[str]) -> Iterator[tuple[str, int]]:
    """How long each level's part is. A level that occurs has a cell at least: one error among a million lines is the one looked for."""
    length = min(max(round(sum(counts) * room / most), sum(map(bool, counts))), room)
    cells = [max(round(number * room / most), 1) if number else 0 for number in counts]
    # What rounding added or lost goes to the longest parts, where it shows least.
    while sum(cells) > length and max(cells) > 1:
        cells[cells.index(max(cells))] -= 1
    if any(cells):
        cells[cells.index(max(cells))] += max(length - sum(cells), 0)
    yield from zip(levels, cells, strict=True)


def _duration(milliseconds: int) -> str:
    for size, name in _UNITS:
        if milliseconds >= size:
            number = milliseconds // size
            return name if number == 1 else f"{number:,} {name}s"
    return f"{milliseconds} ms"


def records(histogram: Histogram) -> Iterator[dict[str, object]]:
    """A dictionary per bucket: its start as ISO 8601 with the local offset, its length in seconds, all events, and those by level."""
    for bucket in histogram.buckets:
        yield {
            "start": local_time(bucket.start).isoformat(),
            "seconds": histogram.width // 1000,
            "count": bucket.total,
            "levels": bucket.counts,
        }


def csv_rows(histogram: Histogram) -> Iterator[str]:
    """A header, then start, level and count of what is not zero, a record each."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("start", "level", "count"))
    for bucket in histogram.buckets:
        start = local_time(bucket.start).isoformat()
        writer.writerows((start, *counted) for counted in sorted(bucket.counts.items()))
    yield buffer.getvalue()
