"""The one oracle of all fault tests: every line is numbered, so what is missing, twice or changed can be told exactly.

What is judged are lines, not documents: a stack trace that was torn apart in the wrong place shows as lines that are there
twice or as events that nobody wrote, and both count.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.request import Request, urlopen

import orjson

Reading = Callable[[], list[dict]]


class Verdict(NamedTuple):
    """What is wrong with what arrived. Empty, and so false, when nothing is."""

    missing: Counter
    """Lines that were written and did not arrive (as often as they were written)."""
    twice: Counter
    """Lines that arrived more often than they were written."""
    changed: Counter
    """Lines that nobody wrote like that."""

    def __bool__(self) -> bool:
        return any(self)

    def __str__(self) -> str:
        shown = (
            f"{name}: {sum(lines.values())} ({', '.join(sorted(lines)[:5])[:300]})"
            for name, lines in self._asdict().items()
            if lines
        )
        return "; ".join(shown) or "nothing missing, nothing twice, nothing changed"


def judge(written: Iterable[str], documents: Iterable[dict]) -> Verdict:
    """Compare events as they were written with the documents that arrived, line by line."""
    expected = Counter(line for event in written for line in event.split("\n"))
    found = Counter(line for document in documents for line in document["message"].split("\n"))
    known = Counter({line: count for line, count in found.items() if line in expected})
    return Verdict(expected - known, known - expected, found - known)


def torn(written: Iterable[str], documents: Iterable[dict]) -> set[str]:
    """The events of more than one line that did not arrive as one."""
    return {event for event in written if "\n" in event} - {document["message"] for document in documents}


def holds(written: Iterable[str], documents: Iterable[dict], *, repeats: bool = False, whole: bool = True) -> None:
    """Assert that nothing is missing, twice or changed. ``repeats``: this output has no ids, twice is allowed (invariant 7)."""
    written, documents = list(written), list(documents)
    verdict = judge(written, documents)
    if repeats:
        verdict = verdict._replace(twice=Counter())
    assert not verdict, str(verdict)
    assert not whole or not torn(written, documents)


# --- where documents are ---------------------------------------------------------------------------------------------


def stored(folder: Path) -> list[dict]:
    """Every document of a store."""
    found = []
    for partition in sorted(folder.glob("*.db")):
        with closing(sqlite3.connect(partition, timeout=30)) as connection:
            try:
                found += [orjson.loads(row[0]) for row in connection.execute("SELECT source FROM documents")]
            except sqlite3.OperationalError as error:  # it is just being made
                if "no such table" not in str(error):
                    raise
    return found


def appended(path: Path) -> list[dict]:
    """Every whole line of the file output."""
    text = path.read_bytes() if path.exists() else b""
    return [orjson.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]


def indexed(url: str) -> list[dict]:
    """Every document of an index, page by page in the order of the files and offsets, which are all different."""
    urlopen(Request(f"{url}/_refresh", method="POST"), timeout=60).close()
    query = {
        "size": 10_000,
        "sort": [{"log.file.path.keyword": {"unmapped_type": "keyword"}}, {"log.offset": {"unmapped_type": "long"}}],
    }
    found = []
    while True:
        request = Request(f"{url}/_search", orjson.dumps(query), {"content-type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            hits = orjson.loads(answer.read())["hits"]["hits"]
        found += [hit["_source"] for hit in hits]
        if not hits:
            return found
        query["search_after"] = hits[-1]["sort"]


def rejected(home: Path) -> list[tuple[int, str, dict]]:
    """Status, reason and document of everything among the rejects."""
    with closing(sqlite3.connect(home / "state.db", timeout=30)) as connection:
        rows = connection.execute("SELECT status, reason, document FROM rejects ORDER BY sequence").fetchall()
    return [(status, reason, orjson.loads(document)) for status, reason, document in rows]
