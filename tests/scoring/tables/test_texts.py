import pyarrow as pa
import pytest

from scoring.tables.strings_on_disk import texts_on_disk

PARTS = [["a", None, "Straße"], [], [""], ["犬" * 1000, "b"]]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_texts_come_back(kind):
    want = [text for part in PARTS for text in part]
    texts = texts_on_disk((pa.array(part, kind) for part in PARTS), len(want))
    texts.validate(full=True)
    assert texts.to_pylist() == want
    assert texts.take([4, 1, 5, 0]).to_pylist() == ["犬" * 1000, None, "b", "a"]


@pytest.mark.parametrize("parts", [[], [[]], [[None, None]], [["", None]]])
def test_where_there_is_nothing_to_say(parts):
    want = [text for part in parts for text in part]
    arrays = (pa.array(part, pa.string()) for part in parts)
    assert texts_on_disk(arrays, len(want)).to_pylist() == want


def test_characters_are_not_in_memory():
    before = pa.total_allocated_bytes()
    texts = texts_on_disk((pa.array(["x" * 1000] * 100) for _ in range(100)), 10_000)
    assert pa.total_allocated_bytes() - before < 1 << 20
    assert texts.nbytes > 10_000_000
