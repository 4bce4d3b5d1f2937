"""Cases of pipelines: the file's format, what differs, and pytest's plugin."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from parser.bundled import bundled
from shipper.errors import SettingsError
from shipper.testing.cases import find, nested, read
from shipper.testing.check import NOTHING, check, differences, trial

ROOT = Path(__file__).parents[3]
PIPELINE = """filter {
  grok { match => { "message" => "\\A%{WORD:[a][word]} %{INT:[a][number]:int}" } }
  if [a][word] == "drop" { drop {} }
  date { match => ["[a][time]", "MMM dd HH:mm:ss"] }
  mutate { add_field => { "stage" => "${STAGE:none}" } }
}
"""


@pytest.fixture
def written(tmp_path):
    """Write a pipeline ``p.conf`` and cases for it, and read them."""

    def written(text, name="tests/p.yml"):
        (tmp_path / "p.conf").write_text(PIPELINE)
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return read(path)

    return written


@pytest.fixture
def failures(written):
    """The differences of the only case of a file, as (field, expected, got)."""

    def failures(case, head=""):
        file = written(f"{head}\ncases:\n  - {case}")
        (only,) = file.cases
        return [(each.field, each.expected, each.got) for each in check(trial(file), only)]

    return failures


SHIPPED = [
    (path, case) for path in sorted(bundled("pipeline", "tests").glob("*.yml")) for case in range(len(read(path).cases))
]


@pytest.mark.parametrize(("path", "case"), SHIPPED, ids=lambda value: getattr(value, "stem", value))
def test_cases_that_are_shipped(path, case):
    file = read(path)
    assert check(trial(file), file.cases[case]) == []


def test_both_pipelines_have_cases():
    assert {path.stem for path, _ in SHIPPED} == {"my-example", "spring-boot"}


@pytest.mark.parametrize(
    ("case", "differ"),
    [
        ("{input: x 1, expect: {a.word: x, a.number: 1}, tags: []}", []),
        ("{input: x 1, expect: {a: {word: x}}}", []),
        ("{input: x 1, expect: {a.number: '1'}}", [("a.number", "1", 1)]),
        ("{input: x 1, expect: {a.number: 1.0}}", [("a.number", 1.0, 1)]),
        ("{input: x 1, expect: {b: 1}}", [("b", 1, NOTHING)]),
        ("{input: x 1, expect: {a.word: null}}", [("a.word", NOTHING, "x")]),
        ("{input: x 1, expect: {b: null}}", []),
        ("{input: x, tags: []}", [("tags", [], ["_grokparsefailure"])]),
        ("{input: x 1, exact: {message: x 1, a.word: x, a.number: 1, stage: none}}", []),
        ("{input: x 1, exact: {message: x 1, a.word: x, stage: none}}", [("a.number", NOTHING, 1)]),
        ("{input: drop 1, expect: []}", []),
        ("{input: [x 1, drop 2, y 3], expect: [{a.word: x}, {a.word: z}]}", [("[1] a.word", "z", "y")]),
        ("{input: {message: x 1, host.name: h}, expect: {host: {name: h}}}", []),
    ],
)
def test_what_is_expected(failures, case, differ):
    assert failures(case) == differ


def test_another_number_of_documents(failures):
    ((field, expected, got),) = failures("{input: drop 1, expect: {a: 1}}")
    assert (field, len(expected), len(got)) == ("documents", 1, 0)


@pytest.mark.parametrize(
    ("head", "case"),
    [
        ("env: {STAGE: test}", "{input: x 1, expect: {stage: test}}"),
        ("fields: {service.name: orders}", "{input: x 1, expect: {service: {name: orders}}}"),
        ("now: 2020-03-01", "{input: {message: x 1, a.time: Feb 29 01:02:03}, expect: {'@timestamp': 2020-02-29T01:02:03.000Z}}"),
        ("multiline: {pattern: '^x', negate: true, match: after}", "{input: [x 1, y, x 2], expect: [{a.number: 1}, {a.number: 2}]}"),
        ("pipeline: spring-boot", "{input: x, tags: [_grokparsefailure]}"),
        ("pipeline: ../p.conf\necs_compatibility: disabled", "{input: x 1, tags: []}"),
    ],
)  # fmt: skip
def test_what_cases_have_in_common(failures, head, case):
    assert failures(case, head) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "p.yml:1: is not YAML"),
        ("a: 1", "has no cases"),
        ("", "has no cases"),
        ("casse: 1\ncases: []", "p.yml:1: casse is unknown"),
        ("cases:\n  - {name: x}", "p.yml:2: a case is a mapping"),
        ("cases:\n  - {input: x}", "p.yml:2: the case expects nothing"),
        ("cases:\n  - {input: x, expects: {}, tags: []}", "p.yml:2: expects is unknown in a case"),
        ("cases:\n  - {input: x, expect: 1}", "p.yml:2: expect: is a mapping"),
        ("now: soon\ncases: []", "p.yml:1: now: 'soon' is no date"),
        ("env: 1\ncases: []", "p.yml:1: env: is a mapping"),
        ("multiline: {match: after}\ncases: []", "multiline: needs a pattern"),
        ("multiline: {pattern: x, negat: true}\ncases: []", "multiline.negat is unknown"),
        ("multiline: {pattern: (}\ncases: []", "p.yml:1: multiline: '(' is not a regular expression"),
        ("multiline: {pattern: x, max_lines: y}\ncases: []", "p.yml:1: multiline.max_lines: 'y' is no number"),
    ],
)
def test_mistakes(written, text, message):
    with pytest.raises(SettingsError) as caught:
        written(text)
    assert message in str(caught.value)


def test_a_file_that_has_no_pipeline(written):
    with pytest.raises(SettingsError, match=r"there is no q\.conf here"):
        written("cases: []", "tests/q.yml")


def test_all_mistakes_are_told(written):
    with pytest.raises(SettingsError) as caught:
        written("nows: 1\ncases:\n  - {input: x}\n  - 1")
    assert len(caught.value.problems) == 3


def test_files_with_cases_are_found(tmp_path, written):
    written("cases: []")
    (tmp_path / "compose.yml").write_text("services: {}")
    assert find(tmp_path) == [tmp_path / "tests" / "p.yml"]
    assert find(tmp_path / "p.conf") == [tmp_path / "tests" / "p.yml"]
    assert find(tmp_path / "tests" / "p.yml") == [tmp_path / "tests" / "p.yml"]


def test_differences_of_whole_documents():
    one = {"a": {"b": 1, "c": [1, "x"]}, "d.e": None}
    assert differences(one, {"a": {"b": 1, "c": [1, "x"]}}, exact=True) == []
    assert [each.field for each in differences(one, {"a": {"b": 1, "c": [1, "y"]}, "d": {"e": 2}}, exact=True)] == [
        "a.c",
        "d.e",
    ]
    assert str(differences({"a": 1}, {}, exact=False)[0]) == "a\n    expected 1\n    got      nothing"


def test_dotted_names_become_nested():
    assert nested({"a.b": 1, "a.c.d": {"e.f": 2}, "g": 3}) == {"a": {"b": 1, "c": {"d": {"e": {"f": 2}}}}, "g": 3}


# ---- the plugin


def pytest_in(folder, *arguments):
    """Run pytest there with the plugin, and no other; (exit code, output)."""
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "shipper.testing.plugin",
        "-p",
        "no:cacheprovider",
        "-q",
        *arguments,
    ]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_each_case_is_a_test(tmp_path):
    (tmp_path / "p.pipeline.conf").write_text(PIPELINE)
    (tmp_path / "p.pipeline.yml").write_text(
        "cases:\n  - {name: good, input: x 1, tags: []}\n  - name: bad\n    input: x 1\n    expect: {a.number: 2}\n"
    )
    (tmp_path / "other.yml").write_text("cases: [1]\n")
    code, output = pytest_in(tmp_path)
    assert code == 1
    assert "1 failed, 1 passed" in output
    assert "p.pipeline.yml:3: bad\na.number\n    expected 2\n    got      1\n" in output


def test_a_file_that_cannot_be_used_is_an_error_of_collection(tmp_path):
    (tmp_path / "p.pipeline.yml").write_text("pipeline: none-such\ncases: []\n")
    code, output = pytest_in(tmp_path)
    assert code == 2
    assert "there is no such pipeline" in output
    assert "Traceback" not in output


def test_the_configuration_says_which_files(tmp_path, written):
    written("cases:\n  - {input: x 1, tags: []}\n", "p.yml")
    (tmp_path / "pytest.ini").write_text("[pytest]\npipeline_cases = p.yml\n")
    code, output = pytest_in(tmp_path)
    assert (code, "1 passed" in output) == (0, True)


def test_the_plugin_costs_other_runs_nothing():
    code = """if True:
        import pytest, sys
        before = set(sys.modules)
        import shipper.testing.plugin
        print(*sorted(set(sys.modules) - before))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["shipper", "shipper.testing", "shipper.testing.plugin"]
