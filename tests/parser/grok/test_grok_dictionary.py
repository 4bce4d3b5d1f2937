import subprocess
import sys

import pytest

from parser.bundled import bundled
from parser.errors import GrokError
from parser.grok import Dictionary, Grok, compile_expression, load_dictionary
from parser.grok.dictionary import _pygrok, read_patterns


def test_modes_differ_in_the_names_of_fields():
    legacy, ecs = load_dictionary("disabled"), load_dictionary("v1")
    assert legacy.get("SYSLOGPROG") == r"%{PROG:program}(?:\[%{POSINT:pid}\])?"
    assert ecs.get("SYSLOGPROG") == r"%{PROG:[process][name]}(?:\[%{POSINT:[process][pid]:int}\])?"
    assert load_dictionary("v8") is ecs


def test_the_overlay_wins_over_pygrok():
    assert "[Jj]an" in (load_dictionary().get("MONTH") or "")


@pytest.mark.parametrize("mode", ["disabled", "v1"])
def test_every_shipped_pattern_compiles(mode):
    dictionary = load_dictionary(mode)
    for name in dictionary.names():
        assert compile_expression(f"%{{{name}}}", dictionary=dictionary).pattern, name


@pytest.mark.parametrize("directory", ["legacy", "ecs-v1"])
def test_the_overlay_repeats_nothing_of_pygroks(directory):
    base = {}
    for file in sorted(_pygrok().iterdir()):
        base.update(read_patterns(file))
    for file in bundled("patterns", directory).iterdir():
        assert not {name for name, text in read_patterns(file).items() if base.get(name) == text}, file.name


def test_a_pattern_file_is_read_as_jls_grok_reads_it(tmp_path):
    file = tmp_path / "p"
    file.write_text("# no\n  # no\n\nEMPTY\nONE  a b \nTWO\tx#y\nONE c\r\n", encoding="utf-8")
    assert read_patterns(file) == {"ONE": "c", "TWO": "x#y"}


def test_patterns_dir_takes_directories_and_files_and_the_last_wins(tmp_path):
    directory = tmp_path / "d"
    directory.mkdir()
    (directory / "a").write_text("MINE \\d{2}\nINT x\n", encoding="utf-8")
    (tmp_path / "f").write_text("MINE \\d{3}\n", encoding="utf-8")
    grok = Grok("%{MINE:m}%{INT:i}", patterns_dir=[directory, tmp_path / "f"])
    assert grok.match("1234x") == {"m": "234", "i": "x"}


def test_patterns_files_glob_chooses_among_the_files_of_a_directory(tmp_path):
    (tmp_path / "a.grok").write_text("MINE a\n", encoding="utf-8")
    (tmp_path / "b.bak").write_text("MINE b\n", encoding="utf-8")
    assert load_dictionary(patterns_dir=[tmp_path], files_glob="*.grok").get("MINE") == "a"


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(GrokError, match="does not exist"):
        load_dictionary(patterns_dir=[tmp_path / "missing"])
    (tmp_path / "latin").write_bytes(b"X \xff\n")
    with pytest.raises(GrokError, match="latin"):
        load_dictionary(patterns_dir=[tmp_path]).get("X")
    with pytest.raises(GrokError, match="ecs_compatibility"):
        load_dictionary("v9")


def test_own_definitions_go_before_and_leave_the_base_alone():
    base = Dictionary({"A": "1", "B": "2"})
    more = base.with_definitions({"A": "x"})
    assert (more.get("A"), more.get("B"), base.get("A")) == ("x", "2", "1")
    assert more.names() == {"A", "B"}
    assert base.with_definitions({}) is base


def test_neither_pygroks_engine_nor_regex_is_imported():
    code = (
        "import sys; import parser.grok as g; g.Grok('%{COMBINEDAPACHELOG}', ecs_compatibility='v1');"
        "print([m for m in ('pygrok', 'pygrok.pygrok') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
