import re

import pytest

from parser.grok import charset
from parser.grok.charset import ANY, ASCII, DIGIT, EMPTY, SPACE, WORD, CharSet, char, fold, from_ranges, of, spell


def test_overlapping_and_adjacent_ranges_merge():
    assert from_ranges([(5, 9), (1, 2), (3, 6)]).ranges == ((1, 9),)
    assert of("cab").ranges == ((97, 99),)


@pytest.mark.parametrize("chars", [EMPTY, ANY, DIGIT, SPACE, WORD, of("aé😀"), ~of("\x00z")])
def test_complement_of_the_complement_is_the_set(chars):
    assert ~~chars == chars
    assert (chars & ~chars) == EMPTY
    assert (chars | ~chars) == ANY
    assert len(chars) + len(~chars) == len(ANY)


def test_intersection_and_membership():
    both = WORD & from_ranges([(0x35, 0x42), (0x60, 0x61)])
    assert both.ranges == ((0x35, 0x39), (0x41, 0x42), (0x61, 0x61))
    assert [0x34 in both, 0x35 in both, 0x61 in both, 0x62 in both] == [False, True, True, False]
    assert DIGIT <= WORD
    assert not WORD <= DIGIT


@pytest.mark.parametrize(
    ("text", "folded"),
    [("k", "kK\u212a"), ("S", "sS\u017f"), ("i", "iI"), ("1", "1"), ("é", "éÉ"), ("µ", "µμΜ"), ("ß", "ßẞ")],
)
def test_case_folding_is_unicodes_simple_one(text, folded):
    assert fold(of(text)) == of(folded)


def test_folding_a_large_set_reaches_outside_it():
    assert ord("É") in fold(from_ranges([(0x61, 0x1FFF)]))
    assert ord("A") in fold(from_ranges([(0x61, 0x1FFF)]))


@pytest.mark.parametrize("chars", [of("]^-\\"), of("[&~|"), ~of("a]"), of("\n\t\x00\x7f"), of("é\u2028😀"), of(".")])
def test_spelling_is_read_back_by_re(chars: CharSet):
    pattern = re.compile(spell(chars), re.DOTALL)
    for code in (*range(0x300), 0x2028, 0x1F600):
        assert bool(pattern.fullmatch(chr(code))) == (code in chars), hex(code)


def test_special_sets_have_short_spellings():
    assert spell(ANY) == "."
    assert spell(char(0x2E)) == r"\."
    assert re.search(spell(EMPTY), "x") is None


def test_posix_brackets_are_unicode():
    alpha = charset.bracket("alpha")
    assert alpha is not None
    assert ord("é") in alpha
    assert ord("½") not in alpha
    assert (alpha & ASCII) == from_ranges([(0x41, 0x5A), (0x61, 0x7A)])
    assert charset.bracket("nonsense") is None


def test_properties_by_category_script_and_posix_name():
    for name, inside, outside in [("L", "é", "1"), ("Han", "漢", "a"), ("Alpha", "é", "1"), ("Emoji", "😀", "a")]:
        found = charset.unicode_property(name)
        assert found is not None
        assert ord(inside) in found
        assert ord(outside) not in found
    assert charset.unicode_property("NoSuchThing") is None
