"""Runs cases and says where a document is another than was expected."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shipper.testing.documents import Trial, load, preset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipper.testing.cases import Case, CaseFile


class _Nothing:
    """What is not there; ``None`` is a value."""


NOTHING: Final = _Nothing()


@dataclass(frozen=True, slots=True)
class Difference:
    """A field, dotted, what was expected of it and what it is; ``NOTHING`` where it must not be, or is not."""

    field: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        return f"{self.field}\n    expected {_shown(self.expected)}\n    got      {_shown(self.got)}"


def trial(file: CaseFile) -> Trial:
    """The pipeline that the file's cases are for. Raises what ``Pipeline.load`` does."""
    pipeline = load(
        file.pipeline,
        ecs_compatibility=file.ecs_compatibility,
        timezone=file.timezone,
        env=file.env,
        now=file.now,
        patterns_dir=file.patterns_dir,
    )
    return Trial(pipeline, file.framer or preset(file.pipeline), file.fields)


def check(on: Trial, case: Case) -> list[Difference]:
    """Run one case; what is not as expected, nothing if all is."""
    if case.event is not None:
        events = [dict(case.event)]
    else:
        events = [{"message": text} for texts in on.messages([(case.text or "").encode()]) for text in texts]
    documents = on.documents(events)
    found: list[Difference] = []
    for expected, exact in ((case.expect, False), (case.exact, True)):
        if expected is None:
            continue
        if len(expected) != len(documents):
            found.append(Difference("documents", _Count(expected), _Count(documents)))
            continue
        for at, (want, got) in enumerate(zip(expected, documents, strict=True)):
            prefix = f"[{at}] " if len(documents) > 1 else ""
            found += (
                Difference(prefix + each.field, each.expected, each.got) for each in differences(want, got, exact=exact)
            )
    if case.tags is not None:
        tags = [tag for document in documents for tag in _tags(document)]
        if sorted(tags) != sorted(case.tags):
            found.append(Difference("tags", case.tags, tags))
    return found


class _Count(list[Any]):
    """Documents, of which the number is what differs."""


def differences(expected: dict[str, Any], got: dict[str, Any], *, exact: bool) -> list[Difference]:
    """Where ``got`` is not what was expected.

    Names may be dotted. A mapping is compared field by field, and with ``exact`` has to have the same fields; all else
    has to be equal, and of the same type: 1 is neither "1" nor 1.0. ``None``: the field must not be there.
    """
    found = list(_missing(expected, got, ""))
    if exact:
        found += _unexpected(expected, got)
    return found


def _missing(expected: dict[str, Any], got: dict[str, Any], prefix: str) -> Iterator[Difference]:
    for name, want in expected.items():
        value = _get(got, name)
        if want is None:
            if value is not NOTHING and value is not None:
                yield Difference(prefix + name, NOTHING, value)
        elif isinstance(want, dict) and isinstance(value, dict):
            yield from _missing(want, value, f"{prefix}{name}.")
        elif not _equal(want, value):
            yield Difference(prefix + name, want, value)


def _unexpected(expected: dict[str, Any], got: dict[str, Any]) -> Iterator[Difference]:
    known = {name for name, _ in _leaves(expected)}
    for name, value in _leaves(got):
        if name not in known:
            yield Difference(name, NOTHING, value)


def _leaves(document: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + str(name), value


def _get(document: dict[str, Any], name: str) -> Any:
    if name in document:
        return document[name]
    head, dot, rest = name.partition(".")
    while dot:
        inner = document.get(head)
        if isinstance(inner, dict) and (found := _get(inner, rest)) is not NOTHING:
            return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return NOTHING


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, str) and isinstance(other, str):
        return str(one) == str(other)
    return type(one) is type(other) and bool(one == other)


def _tags(document: dict[str, Any]) -> list[str]:
    tags = document.get("tags", [])
    return [str(tag) for tag in (tags if isinstance(tags, list) else [tags])]


def _shown(value: Any) -> str:
    if value is NOTHING:
        return "nothing"
    if isinstance(value, _Count):
        what = "one" if len(value) == 1 else str(len(value))
        return what + "".join(f"\n             {json.dumps(each, ensure_ascii=False, default=str)}" for each in value)
    return json.dumps(value, ensure_ascii=False, default=str)
