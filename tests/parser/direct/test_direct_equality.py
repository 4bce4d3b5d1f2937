"""Whatever the direct way gives is what the general way gives: random pipelines, fields and texts."""

from __future__ import annotations

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from parser import Pipeline

NAMES = (
    *("message", "a", "b", "c", "[n][a]", "[n][b]", "[n][m][a]", "[n][m][b]", "[@metadata][x]", "[@metadata][y][z]"),
    *(
        "[log][level]",
        "[log][file]",
        "[log][offset]",
        "[@timestamp]",
        "tags",
        "[tags][0]",
        "log",
        "n",
        "[n][0]",
        "d.o.t",
    ),
)
ODD = ('q"u', "100%s", "%(x)d", "ü\\n", "[n][p%c]", "[a][0]", "[a][1]", "[n][a][1]")
TOKENS = (
    "a",
    "bb",
    "ab",
    "x",
    "12",
    "7",
    "3.5",
    "-",
    " ",
    "  ",
    ".",
    "A",
    "\n",
    "2024-01-02T03:04:05.678Z",
    "%",
    '"',
    "é",
)


def names(*more):
    return st.sampled_from((*NAMES, *more))


@st.composite
def groks(draw):
    def piece():
        name = draw(names("d.o.t"))
        return draw(
            st.sampled_from(
                (
                    *(
                        rf"(?<{name}>[ab]+)",
                        rf"(?<{name}>\w*)",
                        rf"(?<{name}>\S+)",
                        rf"(?:(?<{name}>\d+)-)?",
                        rf"(?<{name}>.*)",
                    ),
                    *(
                        rf"(?:(?<{name}>a+)|\w+)",
                        f"%{{INT:{name}:int}}",
                        f"%{{NUMBER:{name}:float}}",
                        f"(?:%{{INT:{name}:int}} )?",
                    ),
                    *(
                        rf"(?=(?<{name}>.))?",
                        rf"(?i)(?<{name}>A+)",
                        rf"(?<{name}>(?:x|b)+?)",
                        f"%{{TIMESTAMP_ISO8601:{name}}}",
                    ),
                    *(rf"(?<{name}>\X)", rf"(?:(?<{name}>[ab])-?)+", "a|", r"\s*", " ", r"\A", r"\z"),
                )
            )
        )

    expressions = ["".join(piece() for _ in range(draw(st.integers(1, 4)))) for _ in range(draw(st.integers(1, 2)))]
    listed = ", ".join(f"'{expression}'" for expression in expressions)
    text = f"match => {{ '{draw(st.sampled_from(('message', 'message', 'a', '[n][a]')))}' => [{listed}] }}"
    overwrite = draw(st.lists(names(), max_size=3))
    if overwrite:
        text += f" overwrite => [{', '.join(map(repr, overwrite))}]"
    if draw(st.booleans()):
        text += " tag_on_failure => []"
    if draw(st.integers(0, 7)) == 0:
        text += f" target => '{draw(names())}'"
    return f"grok {{ {text} {draw(removals())} }}"


def removals():
    return st.lists(names(*ODD), max_size=2).map(
        lambda found: f"remove_field => [{', '.join(quoted(name) for name in found)}]" if found else ""
    )


def quoted(text):
    return f"'{text}'" if '"' in text else f'"{text}"'


@st.composite
def dates(draw):
    patterns = draw(
        st.lists(st.sampled_from(("ISO8601", "UNIX", "yyyy-MM-dd'T'HH:mm:ss.SSSZ", "yyyy")), min_size=1, max_size=2)
    )
    text = f'match => ["{draw(names())}", {", ".join(map(quoted, patterns))}]'.replace(
        "\"yyyy-MM-dd'T'", "\"yyyy-MM-dd'T'"
    )
    if draw(st.booleans()):
        text += f" target => {quoted(draw(names(*ODD)))}"
    if draw(st.integers(0, 5)) == 0:
        text += f" timezone => {quoted(draw(st.sampled_from(('Europe/Berlin', '%{a}'))))}"
    return f"date {{ {text} {draw(removals())} }}"


@st.composite
def mutates(draw):
    values = st.one_of(st.sampled_from(("", "v", "100%", "%{[n][a]}", "%{[a]}]}", "%{a}", "x%{b}", "%{[a][0]}")))
    text = ""
    if draw(st.booleans()):
        text += f" rename => {{ {quoted(draw(names(*ODD)))} => {quoted(draw(names(*ODD)))} }}"
    if draw(st.booleans()):
        text += f" replace => {{ {quoted(draw(names(*ODD)))} => {quoted(draw(values))} }}"
    if draw(st.booleans()):
        text += f" copy => {{ {quoted(draw(names(*ODD)))} => {quoted(draw(names(*ODD)))} }}"
    return f"mutate {{ {text} {draw(removals())} }}"


def conditions():
    field = names(*ODD).map(lambda name: name if name.startswith("[") else f"[{name}]")
    simple = st.one_of(
        field,
        field.map(lambda name: f"!{name}"),
        st.tuples(field, st.sampled_from(("=~", "!~")), st.sampled_from(("/a/", r"/\Aa/", "/(?i)A/", "/[ab]+x/", r"/\n/", "/%/"))).map(" ".join),
        st.tuples(field, st.sampled_from(("==", "!=")), st.sampled_from(('"a"', '"12"', "1", "1.0", '"${HOME:a}"'))).map(" ".join),
        st.tuples(st.sampled_from(('"a"', '"t"', "1", '"${NONE:a}"')), st.sampled_from(("in", "not in")), field).map(" ".join),
    )  # fmt: skip
    return st.recursive(
        simple,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from((" and ", " or ", " xor ", " nand ")), inner).map(
                lambda parts: f"({''.join(parts)})"
            ),
            inner.map(lambda each: f"!({each})"),
        ),
        max_leaves=3,
    )


def statements(depth=2):
    plain = st.one_of(groks(), dates(), mutates(), mutates())
    if not depth:
        return st.lists(plain, max_size=2).map("\n".join)
    inner = statements(depth - 1)

    @st.composite
    def branches(draw):
        text = f"if {draw(conditions())} {{ {draw(inner)} }}"
        for _ in range(draw(st.integers(0, 1))):
            text += f" else if {draw(conditions())} {{ {draw(inner)} }}"
        return text + (f" else {{ {draw(inner)} }}" if draw(st.booleans()) else "")

    return st.lists(st.one_of(plain, plain, branches()), max_size=4).map("\n".join)


VALUES = st.recursive(
    st.sampled_from((None, True, False, 0, 1, 1.0, -2.5, "", "a", "v", '%"\\ü', "12", 2**63)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(("a", "b", "m", "0", "p%c")), inner, max_size=2)),
    max_leaves=4,
)  # fmt: skip
FIELDS = st.dictionaries(
    st.sampled_from(("a", "b", "n", "c", "tags", 'q"u', "100%s", "@metadata", "message")), VALUES, max_size=3
)
TEXTS = st.one_of(
    st.lists(st.sampled_from(TOKENS), min_size=1, max_size=6).map("".join),
    st.text(min_size=1, max_size=8),
    st.binary(min_size=1, max_size=8),
)


@pytest.mark.slow
@given(statements(), FIELDS, st.lists(TEXTS, min_size=4, max_size=12))
@settings(max_examples=120, deadline=None)
def test_random_pipelines(ways, text, fields, texts):
    pipeline = Pipeline.parse(f"filter {{ {text} }}", env={})
    found = ways(pipeline, fields).check(*texts)
    event("direct" if any(found) else "general only")
