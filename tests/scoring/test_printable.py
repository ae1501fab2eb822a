import pytest
from hostile import NAMES, unprintable

from scoring.printable import printable, printable_lines


@pytest.mark.parametrize("name", NAMES)
def test_nothing_unprintable_is_left(name):
    assert not unprintable(printable(name))
    assert "\n" not in printable(name)


@pytest.mark.parametrize("text", ["naïve 犬", "a'b\"c", "\U0001f469\u200d\U0001f52c", "עברית", ""])
def test_other_text_stays_as_it_is(text):
    assert printable(text) == text


def test_escapes_are_visible():
    assert printable("\x1b[31m\t\u202e\x00\x9b") == r"\x1b[31m\t\u202e\x00\x9b"
    assert printable("\udcff") == r"\udcff"  # half a character, from a file's name
    assert printable_lines("a\nb\r\n") == "a\nb\\r\n"
