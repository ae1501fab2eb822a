"""Every command that changes a store holds a lease while it does."""

from pathlib import Path

import numpy as np
import pytest
from in_process import jobs_in_process, rescoring
from review_store import judge
from small_plans import SMALL

from ray_jobs.cli import main
from ray_jobs.commands import COMMANDS
from ray_jobs.jobs.job_record import load_jobs
from scoring.analysis.snapshot import take_snapshot
from scoring.store.layout import RESERVE
from scoring.store.storage import Storage

NIGHT = ("--dataset", "digits", *SMALL, "--recipe", "smoke", "--batch-rows", "50")
NIGHT += ("--metrics", "msp")
OF = ("--dataset", "digits")
READING = [
    ("plan", *NIGHT),
    ("query", "select count(*) as n from scores"),
    ("outliers", *OF, "--metric", "msp"),
    ("prototypes", *OF, "--metric", "msp"),
    ("diff", *OF, "--from", "0", "--to", "1"),
    ("history",),
    ("status",),
    ("export", *OF, "--to", "csv", "--output", "{elsewhere}/scores.csv"),
    ("report", *OF, "--output", "{elsewhere}/report"),
    ("vacuum", "--dry-run"),
    ("verify",),
    ("adopt",),
    ("check", *OF),
    (
        "forget",
        *OF,
        "--ids",
        "{elsewhere}/ids",
        "--split",
        "test",
        "--dry-run",
    ),  # else tests/ray_jobs/jobs
]
WRITING = [
    ("ingest", *NIGHT[:2], *SMALL, "--name", "again"),
    ("rescore", *NIGHT, "--as", "other"),
    ("explain", *OF, "--ids", "1", "--page", "{elsewhere}/page.html"),
    ("evaluate", "classes", *OF),  # tests/ray_jobs/evaluations has all of them
    ("study", *OF, "--sets", "1", "--output", "{elsewhere}/study"),
    ("review", *OF, "--output", "{elsewhere}/review"),  # evaluations hold that of --import
    ("export", *OF, "--to", "csv", "--output", "{store}/scores.csv"),
    ("export", *OF, "--to", "csv", "--output", "{link}/linked.csv"),
    ("report", *OF, "--output", "{store}/report"),
    ("vacuum", "--older-than-days", "0"),
]
"""In an order in which each works."""
NOT_HERE = {"submit", "metrics"}  # they have no store: one sends a command elsewhere
NOT_HERE |= {"issues"}  # which needs an ensemble: tests/ray_jobs/night reads them


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A store with a night, a folder elsewhere, and a link into the store."""
    root = tmp_path_factory.mktemp("commands")
    places = {name: str(root / name) for name in ("store", "elsewhere", "link")}
    (root / "elsewhere").mkdir()
    (root / "elsewhere" / "ids").write_text("7\n")
    (root / "link").symlink_to(root / "store")
    with jobs_in_process():
        assert rescoring(root / "store")(*SMALL, "--metrics", "msp") == 0
        train = take_snapshot(places["store"]).current("train")
        labels = np.zeros(train.rows, dtype=np.int64)
        judge(Storage(places["store"]), train, labels, classes=10, dataset="digits")
        yield places


def changed(store: str) -> dict[str, int]:
    """When every file but the job records was last written."""
    files = {str(path.relative_to(store)): path for path in Path(store).rglob("*")}
    return {
        name: path.stat().st_mtime_ns
        for name, path in files.items()
        # The reserve is there to make room for a vacuum's lease.
        if path.is_file() and not name.startswith(("jobs/", RESERVE))
    }


def test_every_command_is_tested():
    assert {call[0] for call in READING + WRITING} | NOT_HERE == COMMANDS.keys()


@pytest.mark.parametrize("call", WRITING, ids=" ".join)
def test_a_command_that_changes_a_store_holds_a_lease(site, call, monkeypatch):
    words = [word.format(**site) for word in call]
    storage, leases = Storage(site["store"]), []
    write = Storage.write

    def watch(self, path, data):
        if path.startswith("jobs/"):
            leases.append(changed(storage.uri))
        write(self, path, data)

    monkeypatch.setattr(Storage, "write", watch)
    before, jobs = changed(storage.uri), load_jobs(storage)
    assert main([*words, "--store", storage.uri]) == 0
    after = changed(storage.uri)
    assert after != before
    assert (leases[0], leases[-1]) == (before, after)  # all changes are made in between
    (job,) = (job for job in load_jobs(storage) if job not in jobs)
    assert job.job == words[0]
    assert job.command.startswith(f"protoscore {words[0]} ")
    assert job.state in ("done", "published")
    assert (job.dataset == "") == (words[0] == "vacuum")


@pytest.mark.parametrize("call", READING, ids=" ".join)
def test_a_command_that_only_reads_changes_nothing(site, call):
    words = [word.format(**site) for word in call]
    storage = Storage(site["store"])
    before, jobs = changed(storage.uri), load_jobs(storage)
    assert main([*words, "--store", storage.uri]) == 0
    assert (changed(storage.uri), load_jobs(storage)) == (before, jobs)
