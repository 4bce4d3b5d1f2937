"""The names of encodings, as Python and Filebeat have them, and which of them logs can be read in.

Those in which a byte 0x0A always ends a line, and what a byte means does not depend on the lines before; and UTF-16. Not
UTF-7, UTF-32, HZ, ISO-2022 or EBCDIC.
"""

from __future__ import annotations

import codecs
import difflib

KNOWN = (
    "utf-8 (or plain), utf-16 (its byte order mark or first line feed tells the order), utf-16le, utf-16be, latin1, iso8859-1 to iso8859-16, "
    "windows-1250 to windows-1258, cp437, cp850 and other code pages, koi8-r, koi8-u, macintosh, gbk, gb18030, big5, "
    "euc-jp, euc-kr, shift_jis"
)
"""What a message names."""
SUPPORTED = frozenset({
    "utf-8",
    *("utf-16", "utf-16-le", "utf-16-be"),
    *(f"iso8859-{part}" for part in (*range(1, 12), 13, 14, 15, 16)),
    *(f"cp{page}" for page in (437, 720, 737, 775, 850, 852, 855, 856, 857, 858, 860, 861, 862, 863, 864, 865, 866, 869)),
    *(f"cp{page}" for page in (874, 1006, 1125, *range(1250, 1259))),
    *("koi8-r", "koi8-t", "koi8-u", "kz1048", "ptcp154", "hp-roman8", "tis-620"),
    *("mac-croatian", "mac-cyrillic", "mac-greek", "mac-iceland", "mac-latin2", "mac-roman", "mac-romanian", "mac-turkish"),
    *("gbk", "gb18030", "big5", "big5hkscs", "cp949", "cp950", "johab"),
    *("euc_jp", "euc_jis_2004", "euc_jisx0213", "cp932", "shift_jis", "shift_jis_2004", "shift_jisx0213"),
})  # fmt: skip
"""Python's names of the codecs."""
_OTHERS = {
    **dict.fromkeys(("plain", "nop", "utf-8-sig", "unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8"), "utf-8"),
    "ascii": "utf-8",  # which contains it
    "utf-16-bom": "utf-16",
    **dict.fromkeys(("utf-16le-bom", "unicode", "ucs-2", "iso-10646-ucs-2", "unicodefeff"), "utf-16-le"),
    **dict.fromkeys(("utf-16be-bom", "unicodefffe"), "utf-16-be"),
    **dict.fromkeys(("iso8859-6e", "iso8859-6i", "iso-8859-6-e", "iso-8859-6-i"), "iso8859-6"),
    **dict.fromkeys(("iso8859-8e", "iso8859-8i", "iso-8859-8-e", "iso-8859-8-i", "logical", "visual"), "iso8859-8"),
    **dict.fromkeys(("macintosh", "mac"), "mac-roman"),
    **dict.fromkeys(("macintosh-cyrillic", "mac-ukrainian"), "mac-cyrillic"),
    "dos-874": "cp874",
    **dict.fromkeys(("koi", "koi8", "koi8r"), "koi8-r"),
    **dict.fromkeys(("koi8u", "koi8-ru"), "koi8-u"),
    "windows-31j": "cp932",
    # Larger sets of the same codes: all that the smaller can say, and what is in logs that only call themselves so.
    **dict.fromkeys(("gb2312", "gb-2312-80", "chinese"), "gbk"),
    **dict.fromkeys(("euc_kr", "cseuckr", "windows-949"), "cp949"),
    "cn-big5": "big5",
}
"""Filebeat's names, those that the W3C recommends, and Python's codecs that others stand for, where Python's own names do not say it."""

_USUAL = ("utf-16le", "utf-16be", "latin1", "euc-jp", "euc-kr", *(f"windows-{page}" for page in range(1250, 1259)))


def encoding_name(name: str) -> str:
    """Python's name of the codec, of ``SUPPORTED``. Raises ``ValueError`` with what can be had."""
    asked = name.strip().lower().replace("_", "-").removeprefix("x-")
    python = _OTHERS.get(asked) or _python(asked) or _python(asked.replace("windows", "cp").replace("cp-", "cp"))
    python = _OTHERS.get(python or "", python)
    if python in SUPPORTED:
        return python
    if python is not None:
        why = "cannot be read line by line: a byte 0x0A need not be a line end in it, or what came before says what a byte means"
    else:
        near = difflib.get_close_matches(asked, sorted({*SUPPORTED, *_OTHERS, *_USUAL}), 1, 0.8)
        why = f"is not an encoding: did you mean {near[0]}?" if near else "is not an encoding"
    msg = f"{name!r} {why}; known are {KNOWN}"
    raise ValueError(msg)


def _python(name: str) -> str | None:
    try:
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
