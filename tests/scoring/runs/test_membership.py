from dataclasses import replace

import numpy as np
import pytest

from scoring.data.images import ImageShape
from scoring.data.shards import ShardRecord
from scoring.data.versions import DatasetVersion
from scoring.left_out import LeftOut
from scoring.run_spec import NetSpec, Representer, RunSpec
from scoring.runs.fleet import at_rest
from scoring.runs.membership import Membership
from scoring.runs.record import RunRecord
from scoring.store.storage import Storage

PLAIN = RunSpec(kind="plain", split="train", net=NetSpec(name="mlp"))
MEMBER = replace(PLAIN, left_out=LeftOut(seed=0, round=0, fold=0, folds=3))
IMPORTED = replace(PLAIN, kind="imported", weights="w")
IDS = np.array([0, 5, 9, 10, 19, 20, 29, 30, 10**9])
HELD = np.array([1, 1, 1, 0, 0, 1, 1, 0, 0], dtype=bool)  # by shards of ids 0-9 and 20-29


def shard(first, rows):
    content = f"{first}-{rows}"
    return ShardRecord(content=content, first_id=first, rows=rows, undecodable=0, trainable=rows)


@pytest.fixture
def seen(tmp_path):
    """Answers who saw IDS, of either split, of runs on a version with two shards."""
    storage, versions = Storage(str(tmp_path / "store")), {}
    for split in ("train", "test"):
        version = DatasetVersion(
            name="digits",
            split=split,
            classes=("a", "b"),
            shape=ImageShape(height=8, width=8, channels=1),
            shards=(shard(20, 10), shard(0, 10)) if split == "train" else (shard(0, 30),),
            ranges={},
        )
        version.save(storage)
        versions[split] = version.version
    membership = Membership(storage, "digits")

    def ask(spec, split="train", **other):
        return membership.seen(record(spec, {**versions, **other}), split, IDS)

    return ask


def record(spec, versions):
    return RunRecord(
        key="k", label="", kind=spec.kind, split=spec.split, net=spec.net, spec=spec,
        versions={split: versions[split] for split in spec.splits()},
        shape=(8, 8, 1), classes=2, rows=20, epochs=1, losses=(), train_accuracy=None,
        test_accuracy=None, epsilon=None, noise_multiplier=None, seconds=0.0, host="",
        device="cpu", trained_at="",
    )  # fmt: skip


def test_a_run_saw_the_rows_of_its_version(seen):
    np.testing.assert_array_equal(seen(PLAIN), HELD)


def test_a_member_did_not_see_what_it_leaves_out(seen):
    np.testing.assert_array_equal(seen(MEMBER), HELD & ~MEMBER.left_out.holds(IDS))
    assert seen(MEMBER).sum() < HELD.sum()


@pytest.mark.parametrize("spec", [PLAIN, MEMBER])
def test_no_run_saw_the_other_split(seen, spec):
    assert not seen(spec, "test").any()


def test_a_fine_tuned_run_saw_what_its_parent_saw(seen):
    tuned = replace(PLAIN, kind="finetuned", split="test", parent=MEMBER)
    np.testing.assert_array_equal(seen(tuned, "train"), seen(MEMBER, "train"))
    np.testing.assert_array_equal(seen(tuned, "test"), IDS < 30)


def test_imported_runs_saw_nothing_if_their_manifest_says_so(seen):
    assert seen(IMPORTED) is None
    assert seen(IMPORTED, "test") is None
    assert not seen(replace(IMPORTED, unseen=True)).any()


def test_a_layer_at_rest_saw_the_rows_that_it_was_fitted_to(seen):
    rest = at_rest(replace(IMPORTED, unseen=True), Representer())
    np.testing.assert_array_equal(seen(rest), HELD)
    assert seen(at_rest(IMPORTED, Representer())) is None


def test_nobody_knows_who_saw_what_of_slices_and_of_earlier_stores(seen):
    assert seen(PLAIN, train="a slice") is None
    assert not seen(PLAIN, "test", train="a slice").any()
    assert seen(replace(PLAIN, subset=0.7)) is None


def test_a_version_without_rows_was_seen_by_none(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    shape = ImageShape(height=8, width=8, channels=1)
    empty = DatasetVersion(
        name="digits", split="train", classes=("a",), shape=shape, shards=(), ranges={}
    )
    empty.save(storage)
    run = record(PLAIN, {"train": empty.version})
    assert not Membership(storage, "digits").seen(run, "train", IDS).any()
