import json
import subprocess
import sys

import numpy as np
import pytest

from scoring.data.texts import TextShape, plain_text
from scoring.tokens import IDS, PADDING

SHAPE = TextShape(tokens=8)


def ids(text, shape=SHAPE):
    return shape.decode(text.encode()).tolist()


def test_words_and_marks_are_split_and_case_is_ignored():
    assert ids("It's GREAT!") == ids("it's great !")
    assert len(set(ids("it's great !"))) == 4  # three words and padding
    assert ids("great")[1:] == [PADDING] * 7


def test_a_word_has_the_same_id_in_any_position():
    first, second = ids("good film"), ids("film good")
    assert first[:2] == second[1::-1]


def test_markup_is_dropped_and_entities_are_resolved():
    assert plain_text(b"<br />A &amp; B<br/>\n\tC") == "A & B C"
    assert ids("good<br />film") == ids("good film")


def test_long_texts_lose_their_middle():
    words = [f"w{i}" for i in range(20)]
    assert ids(" ".join(words)) == ids(" ".join([*words[:4], *words[-4:]]))
    odd = TextShape(tokens=5)
    assert ids(" ".join(words), odd) == ids(" ".join([*words[:3], *words[-2:]]), odd)


@pytest.mark.parametrize("data", [None, b"", b"  \n", b"<br />"])
def test_a_text_without_words_is_undecodable(data):
    assert SHAPE.decode(data) is None


def test_broken_utf8_still_decodes():
    assert SHAPE.decode(b"good \xff film") is not None


def test_ids_are_in_range_and_few_words_share_one():
    words = [f"word{i}" for i in range(5000)]
    found = np.array([ids(word)[0] for word in words])
    assert found.min() > PADDING
    assert found.max() < IDS
    # 5,000 words in 32,767 places: about 4,640 places taken, +- 18.
    assert 4550 < len(np.unique(found)) < 4730


def test_ids_are_the_same_in_every_process():
    code = (
        "from scoring.data.texts import TextShape; "
        "print(TextShape(tokens=8).decode(b'a b').tolist())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout) == ids("a b")
