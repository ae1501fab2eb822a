import numpy as np
import pytest

from scoring.data.example_ids import allot, check_cut, piece_id
from scoring.data.sources import cut
from scoring.errors import BadData

SHARD = 10


def pieces(files):
    """Cut files, given as {name: rows}, into pieces of ten rows, in name order."""
    return [p for name, rows in sorted(files.items()) for p in cut(name, rows, SHARD, "")]


def nights(*states):
    """Return the ranges after each of several states of a source; each night sees all before it."""
    seen = []
    for files in states:
        seen.append(allot(pieces(files), seen))
    return seen


def ids(ranges, files):
    """Map (file, row) to example id, for the files that are there."""
    return ids_of(pieces(files), ranges)


def ids_of(cut_pieces, ranges):
    return {
        (piece.file, piece.start + row): ranges[piece_id(piece)][0] + row
        for piece in cut_pieces
        for row in range(piece.rows)
    }


def test_first_ids_follow_row_order():
    assert nights({"a": 25, "b": 3})[-1] == {
        "a@0": (0, 10),
        "a@10": (10, 10),
        "a@20": (20, 5),
        "b@0": (25, 3),
    }


def test_an_unchanged_source_keeps_all_ids():
    first, second, third = nights({"a": 25, "b": 3}, {"a": 25, "b": 3}, {"a": 25, "b": 3})
    assert first == second == third


def test_the_last_file_grows_in_place():
    *_, last = nights({"a": 10, "b": 3}, {"a": 10, "b": 25})
    assert last == {"a@0": (0, 10), "b@0": (10, 10), "b@10": (20, 10), "b@20": (30, 5)}


def test_a_middle_file_that_grows_gets_a_new_range_for_the_changed_piece():
    first, last = nights({"a": 25, "b": 3}, {"a": 28, "b": 3})
    assert last == {"a@0": (0, 10), "a@10": (10, 10), "a@20": (28, 8), "b@0": first["b@0"]}


def test_a_file_that_shrinks_gets_a_new_range_for_the_changed_piece():
    *_, last = nights({"a": 25, "b": 3}, {"a": 22, "b": 3})
    assert last["a@20"] == (28, 2)


def test_a_new_file_gets_the_last_ids_wherever_its_name_sorts():
    *_, last = nights({"b": 10}, {"a": 4, "b": 10})
    assert last == {"b@0": (0, 10), "a@0": (10, 4)}


def test_ranges_of_vanished_files_are_not_reused():
    _, without, new, back = nights(
        {"a": 10, "b": 10}, {"a": 10}, {"a": 10, "c": 10}, {"a": 10, "b": 10, "c": 10}
    )
    assert without["b@0"] == (10, 10)
    assert new["c@0"] == (20, 10)
    assert back == {"a@0": (0, 10), "b@0": (10, 10), "c@0": (20, 10)}


def test_a_range_that_a_file_outgrew_is_not_reused():
    """The newest version alone no longer shows the range that the file left."""
    *_, last = nights({"a": 10, "b": 5}, {"a": 10, "b": 5, "c": 10}, {"a": 10, "b": 7, "c": 10})
    assert last["b@0"] == (25, 7)


def test_concurrent_jobs_never_leave_two_rows_with_one_id():
    """Each job saw a different new file and gave it the same ids."""
    base = allot(pieces({"a": 10}), [])
    one = allot(pieces({"a": 10, "b": 10}), [base])
    other = allot(pieces({"a": 10, "c": 5}), [base])
    assert one["b@0"][0] == other["c@0"][0]
    both = {"a": 10, "b": 10, "c": 5}
    merged = allot(pieces(both), [base, one, other])
    assert merged == {"a@0": (0, 10), "b@0": (10, 10), "c@0": (20, 5)}
    assert allot(pieces(both), [other, merged, one, base]) == merged


@pytest.mark.parametrize(
    ("files", "fine", "refused"),
    [
        ({"a": 25}, [10], [5, 9, 11, 20, 25, 1000]),
        ({"a": 20}, [10], [5, 20]),
        ({"a": 7, "b": 4}, [7, 10, 1000], [1, 6]),
    ],
)
def test_a_shard_size_that_would_change_ids_is_refused(files, fine, refused):
    seen = nights(files)
    before = ids(seen[0], files)
    for size in fine:
        check_cut(size, seen)
        recut = [p for name, rows in files.items() for p in cut(name, rows, size, "")]
        assert ids_of(recut, allot(recut, seen)) == before
    for size in refused:
        with pytest.raises(BadData, match=rf"--shard-rows: expected \d+, .* got {size}; .* --name"):
            check_cut(size, seen)
        recut = [p for name, rows in files.items() for p in cut(name, rows, size, "")]
        assert ids_of(recut, allot(recut, seen)) != before


def edit(random, files, names):
    """Grow, shrink, add or remove a file, as happens between two nights."""
    files = dict(files)
    match random.integers(4):
        case 0 if files:
            files[random.choice(sorted(files))] += int(random.integers(1, 25))
        case 1 if files:
            name = random.choice(sorted(files))
            files[name] = max(1, files[name] - int(random.integers(1, 25)))
        case 2:
            files[f"{random.choice(list('abcdefg'))}{next(names)}"] = int(random.integers(1, 35))
        case 3 if len(files) > 1:
            del files[random.choice(sorted(files))]
    return files


@pytest.mark.parametrize("seed", range(60))
def test_no_two_rows_share_an_id_and_unchanged_pieces_keep_theirs(seed):
    random, names = np.random.default_rng(seed), iter(range(10_000))
    files, seen, owner = {}, [], {}
    for _ in range(25):
        before, files = files, edit(random, files, names)
        if random.random() < 0.1 and seen:  # a removed file comes back unchanged
            files |= {name: rows for name, rows in before.items() if name not in files}
        ranges = allot(pieces(files), seen)
        now = ids(ranges, files)
        assert len(set(now.values())) == len(now)
        for piece in pieces(files):
            unchanged = piece in pieces(before)
            if unchanged and seen:
                assert ranges[piece_id(piece)] == seen[-1][piece_id(piece)]
        for (file, row), example in now.items():
            # An id belongs to one row for ever, whatever came and went in between.
            assert owner.setdefault(example, (file, row)) == (file, row)
        random.shuffle(seen)
        seen.append(ranges)


@pytest.mark.parametrize("seed", range(20))
def test_concurrent_jobs_in_random_histories_keep_ids_unique(seed):
    random, names = np.random.default_rng(1000 + seed), iter(range(10_000))
    files, seen = {"a": 12}, [allot(pieces({"a": 12}), [])]
    for _ in range(15):
        mine, yours = edit(random, files, names), edit(random, files, names)
        seen += [allot(pieces(mine), seen), allot(pieces(yours), seen)][:: random.choice([1, -1])]
        files = mine | yours
        now = ids(allot(pieces(files), seen), files)
        assert len(set(now.values())) == len(now)
