"""How runs are packed into trials: pure arithmetic, without Ray."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from ray_jobs.on_ray.packs import pack, rows_to_train_on
from scoring.left_out import LeftOut
from scoring.run_spec import NetSpec, Recipe, RunSpec
from scoring.runs.record import Run, identify

BASE = RunSpec(
    kind="plain",
    split="train",
    net=NetSpec(name="mlp"),
    recipe=Recipe(epochs=1, batch_rows=100),
)
VERSIONS = {"train": "t", "test": "e"}
SPLITS = {"train": SimpleNamespace(rows=60), "test": SimpleNamespace(rows=30)}


def seeds(count, **changes):
    """Runs that differ in their seed alone."""
    return [identify(replace(BASE, seed=seed, **changes), VERSIONS) for seed in range(count)]


def child_of(run):
    spec = replace(run.spec, kind="finetuned", split="test", parent=run.spec)
    return identify(spec, VERSIONS)


def rows(runs, count=1000):
    return {run.key: count for run in runs}


def packed(packs):
    return [run for pack_ in packs for run in pack_]


def test_every_run_is_packed_once():
    runs = seeds(50)
    packs = pack(runs, rows(runs), slots=2)
    assert sorted(packed(packs), key=lambda run: run.spec.seed) == runs
    assert all(packs)


@pytest.mark.parametrize("slots", [1, 2, 16])
def test_short_runs_share_a_trial_and_every_slot_stays_busy(slots):
    runs = seeds(200)
    packs = pack(runs, rows(runs), slots)
    assert 4 * slots <= len(packs) < 5 * slots


def test_no_trial_takes_longer_than_can_be_lost():
    """At 20 000 rows a second, a million take longer than a trial should; 20 000 take a second."""
    runs = seeds(6)
    assert [len(p) for p in pack(runs, rows(runs, 1_000_000), slots=1)] == [1] * 6
    runs = seeds(1000)
    longest = max(len(p) for p in pack(runs, rows(runs, 20_000), slots=1))
    assert longest == 20


def test_a_child_follows_its_parent_in_the_same_trial():
    parents = seeds(8)
    children = [child_of(parent) for parent in parents]
    runs = [*parents, *children]
    packs = pack(runs, rows(runs), slots=1)
    for parent, child in zip(parents, children, strict=True):
        (home,) = (p for p in packs if parent in p)
        assert home.index(child) > home.index(parent)


def test_a_family_stays_together_even_if_it_is_long():
    parent = seeds(1)[0]
    children = [identify(replace(child_of(parent).spec, seed=i), VERSIONS) for i in range(9)]
    runs = [parent, *children]
    assert [len(p) for p in pack(runs, rows(runs, 1_000_000), slots=8)] == [10]


def test_a_child_whose_parent_is_finished_stands_alone():
    parent, other = seeds(2)
    child = child_of(parent)
    packs = pack([other, child], rows([other, child], 1_000_000), slots=1)
    assert sorted(map(len, packs)) == [1, 1]


def test_long_trials_come_first():
    runs = seeds(30)
    of = {run.key: 1000 * (1 + run.spec.seed * 7 % 30) for run in runs}
    packs = pack(runs, of, slots=2)
    longest = [max(of[run.key] for run in p) for p in packs]
    assert longest == sorted(longest, reverse=True)
    assert longest[0] == 30_000


def test_private_and_wide_runs_are_long():
    plain, private, wide = (
        seeds(1, **changes)[0]
        for changes in ({}, {"kind": "private"}, {"net": NetSpec(name="mlp", width=2.0)})
    )
    of = rows([plain, private, wide])
    assert [run for p in pack([plain, wide, private], of, 1) for run in p] == [private, wide, plain]


def test_imported_runs_train_on_no_rows():
    spec = replace(BASE, kind="imported", weights="w")
    imported = identify(spec, {})
    (plain,) = seeds(1)
    assert packed(pack([imported, plain], rows([plain], 10), 1)) == [imported, plain]


def test_runs_that_train_on_next_to_nothing_are_packed_too():
    runs: list[Run] = seeds(3, left_out=LeftOut(seed=0, round=0, fold=0, folds=3))
    assert pack(runs, rows(runs, 1), slots=2) == [tuple(runs)]


def test_runs_train_on_their_split_or_on_their_slice():
    (plain,), (wide,) = seeds(1), seeds(1, net=NetSpec(name="mlp", width=2.0))
    child, imported = child_of(plain), identify(replace(BASE, kind="imported", weights="w"), {})
    slices = {wide.key: SimpleNamespace(ids=[1, 5, 8])}
    found = rows_to_train_on([plain, child, wide, imported], SPLITS, slices)
    assert found == {plain.key: 60, child.key: 30, wide.key: 3}
