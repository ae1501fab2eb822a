"""Ingest: shards, then versions, as a job of its own or at the start of a night."""

from dataclasses import replace

import pytest
from digit_files import write_digits
from in_process import InProcessEngine
from small_plans import SMALL, request_of

from ray_jobs.cli import main
from ray_jobs.jobs.job_record import load_jobs
from ray_jobs.jobs.meter import Meter
from ray_jobs.night.bring_in import bring_in, ingest
from ray_jobs.night.request import survey_splits
from ray_jobs.terminal.cap_flags import CapFlags
from ray_jobs.terminal.night_flags import MachineFlags
from scoring.data.versions import all_versions, load_version
from scoring.errors import BadData, IncompleteError
from scoring.store.storage import Storage

ENGINE = InProcessEngine(machine=MachineFlags())


@pytest.fixture
def request_(tmp_path):
    return request_of(tmp_path / "store")


def test_missing_pieces_become_shards_and_shards_versions(request_):
    surveys = survey_splits(request_)
    versions = bring_in(ENGINE, request_, surveys)
    assert {split: version.rows for split, version in versions.items()} == {
        "train": 100,
        "test": 50,
    }
    for split, version in versions.items():
        assert load_version(request_.storage, "digits", split, version.version) == version
    again = survey_splits(request_)
    assert not any(survey.missing for survey in again.values())
    assert [s.record for s in again["train"].shards] == [*versions["train"].shards]


def test_an_ingest_out_of_time_keeps_its_shards_and_the_next_goes_on(request_, monkeypatch):
    whole = InProcessEngine.make_shards

    def one_of_them(self, source, storage, layout, missing):
        return whole(self, source, storage, layout, missing[:1])

    with monkeypatch.context() as patch:
        patch.setattr(InProcessEngine, "make_shards", one_of_them)
        with pytest.raises(IncompleteError, match="ingest ended early with 1 of 3 shards ingested"):
            bring_in(ENGINE, request_, survey_splits(request_))
    assert all_versions(request_.storage, "digits", "train") == []
    surveys = survey_splits(request_)
    assert [len(surveys[split].missing) for split in ("train", "test")] == [1, 1]
    assert bring_in(ENGINE, request_, surveys)["train"].rows == 100


def test_no_shard_is_begun_once_time_is_over(request_):
    late = replace(ENGINE, meter=Meter(CapFlags(max_hours=1e-9)))
    with pytest.raises(IncompleteError, match="--max-hours: time ran out with 0 of 3 shards"):
        bring_in(late, request_, survey_splits(request_))


def test_too_many_rows_that_cannot_be_decoded_make_no_version(tmp_path):
    paths = {}
    for split, rows in (("train", slice(0, 50)), ("test", slice(1000, 1020))):
        path = tmp_path / split / "a.parquet"
        paths[split] = str(write_digits(path, rows, broken=range(10 * (split == "test"))))
    flags = ("--dataset", "parquet", "--name", "mine", "--train", paths["train"])
    request = request_of(tmp_path / "store", *flags, "--test", paths["test"])
    with pytest.raises(BadData, match=r"--max-corrupt: expected at most 5 % .*got 10 of 20"):
        bring_in(ENGINE, request, survey_splits(request))
    assert all_versions(request.storage, "mine", "test") == []
    data = replace(request.flags.data, max_corrupt=0.5)
    tolerant = replace(request, flags=replace(request.flags, data=data))
    assert bring_in(ENGINE, tolerant, survey_splits(tolerant))["test"].undecodable == 10


def test_the_command_ingests_once_and_says_so(in_process, tmp_path, capsys):
    command = ["ingest", *SMALL, "--store", str(tmp_path / "store")]
    assert main(command) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("digits train: 100 rows in 2 shards (2 new), 0 undecodable, version")
    assert said[1].startswith("digits test: 50 rows in 1 shards (1 new), 0 undecodable, version")
    assert main(command) == 0
    again = capsys.readouterr()
    assert again.err == ""
    assert [line.rpartition(" ")[2] for line in again.out.splitlines()] == [
        line.rpartition(" ")[2] for line in said
    ]
    jobs = load_jobs(Storage(str(tmp_path / "store")))
    assert [(job.job, job.dataset, job.state) for job in jobs] == [("ingest", "digits", "done")] * 2


def test_a_failed_ingest_is_recorded_as_such(in_process, request_, monkeypatch):
    def fail(*_, **__):
        raise BadData("row 3: expected an image")

    monkeypatch.setattr(InProcessEngine, "make_shards", fail)
    with pytest.raises(BadData, match="row 3"):
        ingest(request_, "protoscore ingest")
    (job,) = load_jobs(request_.storage)
    assert (job.state, job.said) == ("failed", "row 3: expected an image")


def test_a_dataset_is_surveyed_again_after_waiting_for_a_vacuum(in_process, request_, monkeypatch):
    """What an earlier survey found may have been removed meanwhile."""
    surveyed = []

    def survey(request):
        surveyed.append(survey_splits(request))
        return surveyed[-1]

    monkeypatch.setattr("ray_jobs.night.bring_in.survey_splits", survey)
    monkeypatch.setattr("ray_jobs.jobs.lease.Lease._wait_for_removals", wait)
    surveys, _ = ingest(request_, "protoscore ingest")
    assert len(surveyed) == 2
    assert surveys is surveyed[1]


def wait(lease, planned_for):
    """Wait for a vacuum that has just ended."""
    lease.waited = True
