"""Verdicts as corrections, where classes are named like decisions."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from review_store import publish_judged

from ray_jobs.night.verdict_wishes import wishes_of_verdicts
from scoring.analysis.snapshot import take_snapshot
from scoring.errors import UserError
from scoring.tables.verdicts import Verdict, publish_verdicts

CLASSES = ("exclude", "ambiguous", "shoe")


@pytest.fixture
def made(tmp_path):
    """A store, and what a survey of its source finds."""
    uri = str(tmp_path / "store")
    publish_judged(uri, CLASSES)
    snapshot = take_snapshot(uri)
    shards = {split: snapshot.current(split).shards for split in ("train", "test")}
    layout = SimpleNamespace(classes=CLASSES)
    surveys = {
        split: SimpleNamespace(name="shapes", split=split, layout=layout, shards=of_split)
        for split, of_split in shards.items()
    }
    return snapshot.storage, surveys, snapshot.current("train").version


def test_a_class_is_not_taken_for_a_decision(made, capsys):
    storage, surveys, version = made
    first = Verdict(
        example_id=0, example="h", name=None, label=0, decision="relabel", decided_label=1,
        wrong=0.9, stratum=4, queue="q", reviewer="ann",
        decided_at=datetime(2026, 1, 1, tzinfo=UTC),
        dataset_version=version,
    )  # fmt: skip
    verdicts = [
        first,
        replace(first, decision="ambiguous", decided_label=None, reviewer="bob"),
        replace(first, example_id=1, decided_label=0, label=1),
        replace(first, example_id=2, label=2),
        replace(first, example_id=3, decision="exclude", decided_label=None),
        replace(first, example_id=9_999),
    ]
    publish_verdicts(storage, "shapes", "train", verdicts)
    found = wishes_of_verdicts(storage, "shapes", surveys)
    assert [(w.example_id, w.label, w.split) for w in found.wishes] == [
        (1, "exclude", "train"),
        (2, "ambiguous", "train"),
    ]
    said = capsys.readouterr().err
    assert "examples that reviewers disagree on, and that stay as they are: 1" in said
    assert "verdicts to exclude, which a class named exclude stands for: 1" in said
    assert "verdicts about examples that the source has no more: 1" in said


def test_another_dataset_has_no_verdicts(made):
    storage, surveys, _ = made
    with pytest.raises(UserError, match=r"expected verdicts on shapes in .*, got none"):
        wishes_of_verdicts(storage, "shapes", surveys)
