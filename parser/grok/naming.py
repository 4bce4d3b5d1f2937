"""Names for the fields of a suggested expression: from the pattern, from the texts it took, from what stands around it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_TIMES = frozenset(
    {
        "TIMESTAMP_ISO8601", "HTTPDATE", "SYSLOGTIMESTAMP", "HTTPDERROR_DATE", "DATESTAMP_RFC822", "DATESTAMP_RFC2822",
        "DATESTAMP_OTHER", "CATALINA_DATESTAMP", "DATESTAMP",
    }
)  # fmt: skip
_ECS = {
    "level": "[log][level]",
    "logger": "[log][logger]",
    "thread": "[process][thread][name]",
    "pid": "[process][pid]",
    "program": "[process][name]",
    "ip": "[source][ip]",
    "port": "[source][port]",
    "host": "[host][hostname]",
    "url": "[url][original]",
    "path": "[url][original]",
    "file": "[file][path]",
    "method": "[http][request][method]",
    "status": "[http][response][status_code]",
    "bytes": "[http][response][body][bytes]",
    "httpversion": "[http][version]",
    "email": "[user][email]",
    "user": "[user][name]",
    "mac": "[source][mac]",
    "timestamp": "timestamp",
    "message": "message",
}
_BY_PATTERN = {
    "LOGLEVEL": "level",
    "JAVACLASS": "logger",
    "IP": "ip",
    "MAC": "mac",
    "UUID": "id",
    "EMAILADDRESS": "email",
    "URI": "url",
    "URIPATHPARAM": "path",
    "UNIXPATH": "file",
    "HOSTNAME": "host",
    "DATE": "date",
    "TIME": "time",
    "BASE16NUM": "hex",
    "QUOTEDSTRING": "text",
    "GREEDYDATA": "message",
}
_KEY = re.compile(r"([A-Za-z_][\w.-]*)=[\"'\[(]?\Z")
_VERB = re.compile(r"GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS|CONNECT|TRACE")
_STATUS = re.compile(r"[1-5]\d\d")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a suggestion: a ``literal``, or a named ``pattern`` with the ``values`` it took, one per sample.

    ``whole``: the pattern takes the whole line, and names its fields itself.
    """

    pattern: str
    literal: str
    values: tuple[str, ...]
    whole: bool = False


def named(parts: Sequence[Part], *, ecs: bool) -> list[str]:
    """Each part as it stands in the expression, with a field for what is worth one."""
    used: dict[str, int] = {}
    written = []
    for at, part in enumerate(parts):
        if not part.pattern:
            written.append(escape(part.literal))
        elif part.whole or part.pattern == "SPACE":
            written.append(f"%{{{part.pattern}}}")
        else:
            name = _name(parts, at, used)
            used[name] = used.get(name, 0) + 1
            if used[name] > 1:
                name = f"{name}{used[name]}"
            kind = {"INT": ":int", "NUMBER": ":float"}.get(part.pattern, "")
            if name == "httpversion":
                kind = ""
            written.append(f"%{{{part.pattern}:{_ECS.get(name, f'[labels][{name}]') if ecs else name}{kind}}}")
    return written


def escape(text: str) -> str:
    """``text`` as an expression that matches it."""
    return "".join(f"\\{char}" if char in "\\.^$*+?{}[]|()" else {"\t": "\\t"}.get(char, char) for char in text)


def _name(parts: Sequence[Part], at: int, used: dict[str, int]) -> str:
    part = parts[at]
    before, after = _beside(parts, at)
    if key := _KEY.search(before):
        return re.sub(r"[^A-Za-z0-9_]", "_", key[1])
    if part.pattern in _TIMES:
        return "timestamp"
    if part.pattern in ("INT", "NUMBER"):
        return _name_of_number(parts, at, used, before, after)
    if part.pattern in _BY_PATTERN:
        return _BY_PATTERN[part.pattern]
    if all(map(_VERB.fullmatch, part.values)):
        return "method"
    following = parts[at + 2].pattern if at + 2 < len(parts) else ""
    if "timestamp" in used and ((after.startswith("[") and following == "INT") or (after == ":" and "host" in used)):
        return "program"
    if before.strip() == "" and at > 1 and parts[at - 2].pattern == "SYSLOGTIMESTAMP":
        return "host"
    if before.endswith("[") and after.startswith("]"):
        # What stands in brackets beside a level is the thread, in every usual layout of Java's loggers.
        level = any(each.pattern == "LOGLEVEL" for each in parts)
        return "thread" if level and "thread" not in used else "context"
    if "---" in before or after.strip() in (":", "-"):
        return "logger" if "logger" not in used and "level" in used else "source"
    return {"WORD": "word", "USERNAME": "name"}.get(part.pattern, "text")


def _name_of_number(parts: Sequence[Part], at: int, used: dict[str, int], before: str, after: str) -> str:
    part = parts[at]
    previous = _previous_pattern(parts, at)
    if before.endswith("HTTP/"):
        return "httpversion"
    if before == ":" and previous in ("IP", "HOSTNAME"):
        return "port"
    if "---" in after or (
        before.endswith("[") and after.startswith("]") and previous in ("WORD", "USERNAME", "NOTSPACE")
    ):
        return "pid"
    if previous == "LOGLEVEL" and not before.strip() and part.pattern == "INT":
        return "pid"
    if before.strip() == '"' and all(map(_STATUS.fullmatch, part.values)):
        return "status"
    if "status" in used and "bytes" not in used and part.pattern == "INT" and not before.strip():
        return "bytes"
    unit = re.match(r"\s?(ms|s|seconds|bytes|KB|MB)\b", after)
    return {"ms": "millis", "s": "seconds"}.get(unit[1], unit[1].lower()) if unit else "number"


def _beside(parts: Sequence[Part], at: int) -> tuple[str, str]:
    """The literal text around a part; white space counts as one blank."""
    before = after = ""
    for each in reversed(parts[:at]):
        if each.pattern and each.pattern != "SPACE":
            break
        before = (each.literal or " ") + before
    for each in parts[at + 1 :]:
        if each.pattern and each.pattern != "SPACE":
            break
        after += each.literal or " "
    return before, after


def _previous_pattern(parts: Sequence[Part], at: int) -> str:
    return next((each.pattern for each in reversed(parts[:at]) if each.pattern and each.pattern != "SPACE"), "")
