import pytest

from scoring.errors import BadStore
from scoring.store.layout import MARK, RESERVE
from scoring.store.mark import adopt, check_marked, check_new_or_marked, ensure_marked
from scoring.store.records import write_record
from scoring.store.storage import Storage


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path / "store"))


def earlier_store(storage):
    for path in ("runs/k/run.json", "tables/scores/_delta_log/00000000000000000000.json"):
        storage.write(path, b"{}")


def test_a_new_folder_becomes_a_store_once(storage):
    ensure_marked(storage)
    mark = storage.read(MARK)
    ensure_marked(storage)
    assert storage.read(MARK) == mark
    assert storage.names("") == {MARK, RESERVE}
    check_marked(storage)
    assert not storage.has_unsealed_files


def test_a_folder_of_other_things_does_not(storage):
    storage.write("thesis.tex", b"")
    for check in (ensure_marked, check_new_or_marked):
        with pytest.raises(
            BadStore, match=r"expected a store or a new folder, got .* 'thesis.tex'"
        ):
            check(storage)
    with pytest.raises(BadStore, match=r"^--store: expected a store, got '.*' without protoscore"):
        check_marked(storage)
    with pytest.raises(BadStore, match="expected a store that an earlier protoscore made"):
        adopt(storage)
    assert storage.names("") == {"thesis.tex"}


@pytest.mark.parametrize("written", [0, 1])
def test_a_store_that_was_half_made_is_made_whole(storage, monkeypatch, written):
    left = iter(range(written))

    def fail_later(self, path, data):
        if next(left, None) is None:
            raise OSError("no space left on device")
        write(self, path, data)

    write = Storage.write
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "write", fail_later)
        with pytest.raises(OSError, match="no space"):
            ensure_marked(storage)
    ensure_marked(storage)
    check_marked(storage)


def test_a_mark_whose_writer_was_killed_is_in_nobodys_way(storage, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / f".{MARK}.{'0a' * 16}.partial").write_bytes(b"{")
    ensure_marked(storage)
    check_marked(storage)


def test_an_earlier_store_can_be_adopted(storage):
    earlier_store(storage)
    with pytest.raises(BadStore, match="run protoscore adopt"):
        check_new_or_marked(storage)
    adopt(storage)
    adopt(storage)
    check_marked(storage)
    assert Storage(storage.uri).has_unsealed_files


def test_a_store_of_a_later_layout_is_refused_in_one_line(storage):
    write_record(storage, MARK, {"store": "s", "layout": 99, "made_at": "2030", "more": 1})
    for check in (check_marked, check_new_or_marked, ensure_marked):
        with pytest.raises(BadStore, match="expected a store of layout 2 or before, got layout 99"):
            check(storage)


def test_a_damaged_mark_is_named(storage):
    ensure_marked(storage)
    storage.write(MARK, b'{"layout": 2}')
    with pytest.raises(BadStore, match=r"a readable protoscore\.json in .* got a damaged one"):
        check_marked(storage)


@pytest.mark.parametrize("uri", ["", "  "])
def test_no_store_at_all_is_refused(uri):
    with pytest.raises(BadStore, match=r"expected a folder or s3://bucket/prefix, got ''"):
        Storage(uri)
