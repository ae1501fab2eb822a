"""`rescore --apply-verdicts`: labels become what reviewers agree on."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from correction_site import LABELS, METRICS, OTHER, SHARD, TESTED, TRAINED, Site
from digit_files import digit_images, write_digits
from review_store import judge

from ray_jobs.cli import main
from scoring.analysis.snapshot import take_snapshot
from scoring.data.corrections import in_force
from scoring.data.reviews import load_queue, queue_ids
from scoring.store.layout import corrections_folder
from scoring.tables.verdicts import Verdict, publish_verdicts, read_verdicts

START = datetime(2026, 11, 20, tzinfo=UTC)


class Reviewed(Site):
    """A site with verdicts."""

    def decide(self, *made: tuple, split: str = "train") -> None:
        """Publish verdicts, each (example id, decision, label) and perhaps more columns."""
        (queue,) = (load_queue(self.storage, q) for q in queue_ids(self.storage))
        known = {check.example_id: check for check in queue.checks}
        verdicts = []
        for minute, (example_id, decision, label, *more) in enumerate(made):
            check = known[example_id]
            verdict = Verdict(
                example_id=example_id, example=check.example, name=check.name, label=check.label,
                decision=decision, decided_label=label, wrong=check.wrong, stratum=check.stratum,
                queue=queue.id, reviewer="ann", decided_at=START + timedelta(minutes=minute),
                dataset_version=queue.dataset_version,
            )  # fmt: skip
            verdicts.append(replace(verdict, **(more[0] if more else {})))
        before = read_verdicts(self.storage, "mine", split)
        publish_verdicts(self.storage, "mine", split, [*before, *verdicts])

    def corrected(self) -> dict[int, str | None]:
        """Training row to its class in force, None if it is excluded."""
        return {c.example_id: c.label for c in in_force(self.storage, "mine")["train"]}

    def apply(self, *flags: str) -> int:
        return self.rescore("--apply-verdicts", *flags)


@pytest.fixture(scope="module")
def made(in_process, tmp_path_factory):
    """A store with one night, and all training labels in a queue."""
    site = Reviewed(tmp_path_factory.mktemp("verdicts"))
    write_digits(site.train, slice(0, TRAINED))
    write_digits(site.test, slice(1000, 1000 + TESTED))
    assert site.rescore() == 0
    version = take_snapshot(site.uri).current("train")
    judge(site.storage, version, np.array(LABELS), 10, "mine")
    page = str(site.folder / "page")
    assert main(["review", "--store", site.uri, "--checks", str(TRAINED), "--output", page]) == 0
    return site


@pytest.fixture
def site(made, tmp_path):
    """A copy of the store, of the same source."""
    shutil.copytree(made.folder, tmp_path / "site")
    site = Reviewed(tmp_path / "site")
    site.train, site.test = made.train, made.test  # paths are part of keys
    return site


def test_exactly_the_shards_of_changed_rows_are_scored(site, capsys):
    before = {split: site.rows(split) for split in ("train", "test")}
    site.decide(
        (3, "relabel", OTHER[3]),
        (4, "exclude", None),
        (60, "keep", None),
        (61, "ambiguous", None),
        (120, "skip", None),
    )
    assert site.night("plan", "--apply-verdicts") == 0
    assert site.corrected() == {}
    assert site.apply() == 0
    said = capsys.readouterr()
    assert "--apply-verdicts: 2 labels to correct, from 5 verdicts" in said.err
    assert "Labels of mine: 1 corrected, 1 excluded; 2 corrections in force" in said.out
    assert "score: 1/1 shard," in said.err
    night = site.nights()[-1]
    shards, scored = (TRAINED + TESTED) // SHARD, len(METRICS) + 1
    assert (night["shards_scored"], night["shards_reused"]) == (scored, scored * (shards - 1))
    assert (night["corrected"], night["excluded"]) == (1, 1)
    rows = site.rows()
    assert (rows[3]["label"], rows[3]["given_label"]) == (OTHER[3], LABELS[3])
    assert rows[4]["status"] == "excluded"
    (record,) = {name for name in site.records() if "copy" not in name}
    kept = Path(site.uri, corrections_folder("mine"), record).read_text()
    assert '"origin": "verdicts"' in kept
    assert {split: site.rows(split, at=1) for split in before} == before
    files = site.files()
    capsys.readouterr()
    assert site.apply() == 0
    assert "nothing to do" in capsys.readouterr().out.lower()
    assert site.files() == files


def test_the_newest_verdict_of_each_reviewer_counts(site, capsys):
    bob = {"reviewer": "bob"}
    site.decide(
        (3, "relabel", OTHER[3]),
        (3, "keep", None),  # ann's newest
        (5, "exclude", None),
        (5, "relabel", OTHER[5]),  # ann's newest
        (7, "relabel", OTHER[7]),
        (7, "relabel", OTHER[7], bob),
        (8, "relabel", OTHER[8]),
        (8, "skip", None, bob),
        (9, "relabel", OTHER[9]),
        (9, "keep", None, bob),
        (10, "relabel", OTHER[10]),
        (10, "exclude", None, bob),
        (11, "relabel", OTHER[11]),
        (11, "ambiguous", None, bob),
        (12, "relabel", OTHER[12]),
        (12, "keep", None, {**bob, "label": OTHER[12]}),  # of a later queue: the same label
    )
    assert site.apply() == 0
    said = capsys.readouterr().err
    assert "examples that reviewers disagree on, and that stay as they are: 3" in said
    assert site.corrected() == {i: str(OTHER[i]) for i in (5, 7, 8, 12)}


def test_verdicts_on_what_has_changed_or_gone_do_not_count(site, tmp_path, capsys):
    site.decide((3, "relabel", OTHER[3]), (4, "exclude", None), (149, "exclude", None))
    table = pq.read_table(site.train)
    images, _ = digit_images(slice(500, 501))
    column = table["image"].to_pylist()
    column[3] = {**column[3], "bytes": images[0]} if isinstance(column[3], dict) else images[0]
    field = table.schema.get_field_index("image")
    changed = table.set_column(field, table.schema.field(field), [column]).slice(0, 149)
    train = Path(tmp_path / "train.parquet")
    pq.write_table(changed, train)
    site.train = train
    assert site.rescore("--replace") == 0
    assert site.apply() == 0
    said = capsys.readouterr().err
    assert "verdicts about examples that the source has no more: 1" in said
    assert "verdicts about examples that have changed since, and do not apply: 1" in said
    assert site.corrected() == {4: None}


def test_without_verdicts_it_is_refused(site, capsys):
    files = site.files()
    assert site.apply() == 2
    said = capsys.readouterr().err
    assert said == (
        f"protoscore: error: --apply-verdicts: expected verdicts on mine in {site.uri}, got none; "
        "run protoscore review first\n"
    )
    assert site.apply("--corrections", "fixes.csv") == 2
    assert (
        "--apply-verdicts: expected it without --corrections, got both" in capsys.readouterr().err
    )
    assert site.files() == files
