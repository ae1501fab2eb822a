"""Every evaluation holds a lease while it works, and leaves an account of how it ended."""

import pytest
from in_process import jobs_in_process, rescoring
from live import live_jobs
from small_plans import SMALL

from ray_jobs.cli import main
from ray_jobs.commands.evaluate import EVALUATIONS
from ray_jobs.jobs.job_record import load_jobs
from scoring.errors import IncompleteError
from scoring.store.storage import Storage

DIGITS = (*SMALL, "--recipe", "smoke", "--metrics", "msp")
SETS = ("--boundary", "msp", "--ensemble", "conf", "--priv", "msp")
PUBLISH = "evaluating.publish_evaluation"

AT_WORK = {
    "deciles": ((), PUBLISH),
    "correlations": ((), PUBLISH),
    "classes": ((), PUBLISH),
    "sets": (SETS, "sets.read_joined_scores"),
    "slices": (("--metrics", "msp", "--window", "50", "--sizes"), "slices.make_nets"),
    "fleet": ((), "fleet._score"),
    "representers": ((), "representers.engine"),
    "toy": ((), "toy._evaluate"),
    "stability": (DIGITS, "stability.run_nights"),
    "memorisation": ((*SMALL, "--metrics", "msp"), "memorisation.run_nights"),
    "debugging": (DIGITS, "debugging.run_nights"),
    "ood": ((*DIGITS, "--detectors"), "ood.run_nights"),
}
"""By evaluation, its other flags and a function that it calls while it works."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with a night of one run and of an ensemble."""
    store = str(tmp_path_factory.mktemp("night") / "store")
    with jobs_in_process():
        assert rescoring(store)(*SMALL, "--metrics", "msp", "conf") == 0
    return store


def test_every_evaluation_is_tested():
    assert AT_WORK.keys() == EVALUATIONS.keys()


@pytest.mark.parametrize("name", EVALUATIONS)
def test_an_evaluation_at_work_is_seen_and_no_vacuum_runs_beside_it(
    store, name, monkeypatch, capsys
):
    flags, work = AT_WORK[name]
    storage, seen = Storage(store), []

    def stop(*_, **__):
        seen.extend(live_jobs(storage))
        assert main(["vacuum", "--store", store, "--older-than-days", "0"]) == 2
        raise IncompleteError("stopped at work")

    monkeypatch.setattr(f"ray_jobs.evaluations.{work}", stop)
    command = ["evaluate", name, "--store", store, *flags]
    assert main(command) == 4
    (job,) = seen
    assert (job.job, job.state) == ("evaluate", "running")
    assert job.dataset == ("toy" if name == "toy" else "digits")
    assert job.command == f"protoscore {' '.join(command)}"
    said = capsys.readouterr().err
    assert f"expected no job at work on {store}, got evaluate {job.job_id}" in said
    assert said.endswith("protoscore: error: stopped at work\n")
    (ended,) = (each for each in load_jobs(storage) if each.job_id == job.job_id)
    assert (ended.state, ended.said) == ("failed", "stopped at work")
    assert live_jobs(storage) == []


@pytest.mark.parametrize("name", ["deciles", "correlations", "classes", "sets"])
def test_an_evaluation_that_ended_well_is_done(store, name):
    flags = (*SETS, "--no-clusters") if name == "sets" else ()
    before = {job.job_id for job in load_jobs(Storage(store))}
    assert main(["evaluate", name, "--store", store, *flags]) == 0
    (job,) = (job for job in load_jobs(Storage(store)) if job.job_id not in before)
    assert (job.job, job.dataset, job.state, job.said) == ("evaluate", "digits", "done", "")


def test_what_is_refused_before_any_work_is_no_job(store):
    before = load_jobs(Storage(store))
    assert main(["evaluate", "classes", "--store", store, "--metrics", "nosuch"]) == 2
    assert load_jobs(Storage(store)) == before
