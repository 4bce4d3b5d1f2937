"""The names of encodings: Python's, Filebeat's, those of browsers; and those that are refused."""

from __future__ import annotations

import codecs

import pytest

from shipper.settings import from_mapping, load
from shipper.settings.encodings import KNOWN, SUPPORTED, encoding_name

FILEBEAT = {
    "plain": "utf-8",
    "nop": "utf-8",
    "utf8": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    "gbk": "gbk",
    **{f"iso8859-{part}": f"iso8859-{part}" for part in (*range(1, 11), 13, 14, 15, 16)},
    **dict.fromkeys(("iso8859-6e", "iso8859-6i"), "iso8859-6"),
    **dict.fromkeys(("iso8859-8e", "iso8859-8i"), "iso8859-8"),
    **{f"cp{page}": f"cp{page}" for page in (437, 850, 852, 855, 858, 860, 862, 863, 865, 866)},
    "koi8r": "koi8-r",
    "koi8u": "koi8-u",
    "macintosh": "mac-roman",
    "macintosh-cyrillic": "mac-cyrillic",
    **{f"windows{page}": f"cp{page}" for page in (*range(1250, 1259), 874)},
    "utf-16-bom": "utf-16",
    "utf-16be-bom": "utf-16-be",
    "utf-16le-bom": "utf-16-le",
}
"""Its own names, from beats/libbeat/reader/readfile/encoding/encoding.go."""
OTHERS = {
    "UTF_8": "utf-8",
    "us-ascii": "utf-8",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "UTF_16BE": "utf-16-be",
    "latin-1": "iso8859-1",
    "ISO_8859-1:1987": "iso8859-1",
    "x-cp1252": "cp1252",
    "windows-1251": "cp1251",
    "koi8-r": "koi8-r",
    "gb2312": "gbk",
    "gb18030": "gb18030",
    "big5": "big5",
    "euc-jp": "euc_jp",
    "euc-kr": "cp949",
    "x-sjis": "shift_jis",
    "windows-31j": "cp932",
}


@pytest.mark.parametrize("name", [*FILEBEAT, *OTHERS])
def test_a_name_means_a_codec(name):
    assert encoding_name(name) == {**FILEBEAT, **OTHERS}[name]


def test_every_codec_is_known_under_its_own_name():
    assert {name: encoding_name(name) for name in SUPPORTED} == {name: codecs.lookup(name).name for name in SUPPORTED}


STATEFUL = [
    "utf-7",
    "utf-32",
    "utf-32-le",
    "hz",
    "hz-gb-2312",
    "iso-2022-jp",
    "iso2022_kr",
    "cp037",
    "cp500",
    "punycode",
]
NONE = ["rot13x", "klingon", "", "a\0b", "\ud800", "ebcdic-037", "x-user-defined"]


@pytest.mark.parametrize("name", [*STATEFUL, *NONE, "base64"])
def test_what_cannot_be_read_is_refused_with_what_can(name):
    with pytest.raises(ValueError, match="known are utf-8") as caught:
        encoding_name(name)
    assert KNOWN in str(caught.value)
    assert ("line by line" in str(caught.value)) == (name not in NONE)


def test_utf_8_is_the_default():
    settings = from_mapping({"inputs": [{"paths": "/a"}]}, env={"SHIPPER_HOME": "/nowhere"})
    assert settings.inputs[0].encoding == "utf-8"


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("latin1", "cp1252"),
        ("iso8859-1", "iso8859-1"),
        ("UTF-16", "utf-16-le"),
        ("utf-16-bom", "utf-16"),
        ("gbk", "gbk"),
    ],
)
def test_a_filebeat_yml_means_what_filebeat_makes_of_it(name, codec, tmp_path):
    path = tmp_path / "filebeat.yml"
    path.write_text(f"filebeat.inputs:\n- type: log\n  paths: [/x]\n  encoding: {name}\n", encoding="utf-8")
    assert load(path, env={"SHIPPER_HOME": "/nowhere"}).inputs[0].encoding == codec
