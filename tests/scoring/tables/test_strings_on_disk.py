import errno
import os
import tempfile

import pyarrow as pa
import pytest

from scoring.errors import Outage
from scoring.tables.strings_on_disk import strings_on_disk

PARTS = [["a", None, "Straße"], [], [""], ["犬" * 1000, "b"]]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_strings_come_back(kind):
    want = [string for part in PARTS for string in part]
    strings = strings_on_disk((pa.array(part, kind) for part in PARTS), len(want))
    strings.validate(full=True)
    assert strings.to_pylist() == want
    assert strings.take([4, 1, 5, 0]).to_pylist() == ["犬" * 1000, None, "b", "a"]


@pytest.mark.parametrize("parts", [[], [[]], [[None, None]], [["", None]]])
def test_nothing_but_nulls_and_empty_strings(parts):
    want = [string for part in parts for string in part]
    arrays = (pa.array(part, pa.string()) for part in parts)
    assert strings_on_disk(arrays, len(want)).to_pylist() == want


def test_characters_are_not_in_memory():
    before = pa.total_allocated_bytes()
    strings = strings_on_disk((pa.array(["x" * 1000] * 100) for _ in range(100)), 10_000)
    assert pa.total_allocated_bytes() - before < 1 << 20
    assert strings.nbytes > 10_000_000


def test_they_are_where_the_flag_says_and_leave_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    strings = strings_on_disk([pa.array(["a"])], 1, str(tmp_path))
    assert strings.to_pylist() == ["a"]
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_one_line(tmp_path):
    def parts():
        yield pa.array(["a"])
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(Outage, match=r"--scratch or .*: expected more room in .*; make room"):
        strings_on_disk(parts(), 2, str(tmp_path))
