import errno
import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from job_files import put
from live import live_jobs
from score_tables import part

from ray_jobs.cli import main
from ray_jobs.commands import vacuum
from ray_jobs.jobs import lease as lease_module
from ray_jobs.jobs.job_record import LEASE, VACUUM, JobRecord, load_jobs, read_jobs
from ray_jobs.jobs.lease import writing_job
from ray_jobs.jobs.progress import Progress
from scoring.errors import BadData, PartlyPublished, Terminated
from scoring.store.mark import ensure_marked
from scoring.store.storage import Storage
from scoring.tables.publish import publish

OLD = "staging/conf/0123456789abcdef0123456789abcdef.parquet"
FULL = "No space left on device; make room, for example by protoscore vacuum, then run the same "
FULL += "command again"


@pytest.fixture
def storage(tmp_path, monkeypatch):
    monkeypatch.setattr(lease_module, "RENEW_S", 0.02)
    monkeypatch.setattr(lease_module, "_POLL_S", 0.02)
    return Storage(str(tmp_path / "store"))


def lease(storage, kind="rescore", job_id="j1", started=None):
    how = {"command": f"protoscore {kind}", "dataset": "digits"}
    return writing_job(storage, kind, job_id=job_id, started=started, **how)


def the_job(storage) -> JobRecord:
    (job,) = load_jobs(storage)
    return job


def until(ready):
    pause = threading.Event()
    for _ in range(500):
        if ready():
            return
        pause.wait(0.02)
    pytest.fail("waited 10 seconds in vain")


def test_a_job_shows_its_progress_while_it_works_and_then_how_it_ended(storage):
    with lease(storage) as mine:
        assert [job.job_id for job in live_jobs(storage)] == ["j1"]
        with Progress("train", 4, "run") as progress:
            progress.advance()
            until(lambda: the_job(storage).done == 1)
        job = the_job(storage)
        assert (job.stage, job.unit, job.total, job.state) == ("train", "run", 4, "running")
        assert job.eta_s > 0
        seen = job.seen_at
        until(lambda: the_job(storage).seen_at > seen)
        mine.end("published")
        assert the_job(storage).state == "running"  # until it has really ended
    assert the_job(storage).state == "published"
    assert live_jobs(storage) == []


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (PartlyPublished("priv was left out"), "partly published", "priv was left out"),
        (BadData("--train: expected rows, got none"), "failed", "--train: expected rows, got none"),
        (OSError("secret=hunter2"), "failed", "OSError"),
        (KeyboardInterrupt(), "stopped", "Ctrl-C"),
        (Terminated(), "stopped", "SIGTERM"),
        (OSError(errno.ENOSPC, "No space left on device"), "failed", FULL),
    ],
)
def test_a_failed_job_records_its_reason_but_nothing_that_drivers_say(storage, error, state, said):
    with pytest.raises(type(error)), lease(storage):
        raise error
    job = the_job(storage)
    assert (job.state, job.said) == (state, said)


def test_a_job_that_stops_renewing_counts_as_dead(storage):
    put(storage, host="elsewhere")
    (job,) = read_jobs(storage).jobs
    assert job.is_alive(job.written)
    assert job.is_alive(job.written + LEASE - timedelta(seconds=1))
    assert not job.is_alive(job.written + LEASE)


def test_a_store_that_is_away_for_a_while_does_not_end_the_job(storage, monkeypatch):
    write, away = Storage.write, threading.Event()

    def write_or_fail(self, path, data):
        if away.is_set():
            raise OSError("away")
        write(self, path, data)

    monkeypatch.setattr(Storage, "write", write_or_fail)
    with lease(storage) as mine:
        away.set()
        threading.Event().wait(0.1)
        away.clear()
        seen = the_job(storage).seen_at
        until(lambda: the_job(storage).seen_at > seen)
        mine.end("published")
    assert the_job(storage).state == "published"


def test_a_job_waits_for_a_vacuum_and_knows_it(storage, capsys):
    begun = datetime.now(UTC)
    with lease(storage, VACUUM, "v"):
        waited = []

        def job():
            with lease(storage, started=begun) as waiting:
                waited.append(waiting.waited)

        thread = threading.Thread(target=job)
        thread.start()
        until(lambda: "waiting for a vacuum" in capsys.readouterr().err)
        assert waited == []
    thread.join(timeout=10)
    assert waited == [True]
    threading.Event().wait(0.02)  # the disk's clock ticks
    with lease(storage, job_id="j2") as later:
        assert not later.waited
    with lease(storage, job_id="j3", started=begun) as planned_before_it:
        assert planned_before_it.waited  # it ended between the plan and the lease


def test_a_vacuum_refuses_to_run_next_to_a_live_job(storage, capsys):
    ensure_marked(storage)
    publish(storage, [part()])
    storage.write(OLD, b"x")
    flags = ["vacuum", "--older-than-days", "0", "--store", storage.uri]
    with lease(storage):
        assert main(flags) == 2
        said = capsys.readouterr().err
        assert "expected no job at work" in said
        assert "rescore j1" in said
        assert storage.exists(OLD)
    assert main(flags) == 0
    assert "Removed:\n  staging" in capsys.readouterr().out
    assert not storage.exists(OLD)


def test_a_dry_run_removes_nothing(storage, capsys):
    ensure_marked(storage)
    publish(storage, [part()])
    storage.write(OLD, b"x" * 1000)
    flags = ["vacuum", "--older-than-days", "0", "--dry-run", "--store", storage.uri]
    assert main(flags) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{OLD}\n")
    assert "Would remove:\n  staging         1 files         0.0 MB" in said
    assert storage.exists(OLD)
    assert load_jobs(storage) == []
    assert main([*flags[:1], "--store", storage.uri]) == 0
    assert "Removed nothing" in capsys.readouterr().out


def test_a_negative_age_is_refused(storage, capsys):
    assert main(["vacuum", "--older-than-days", "-1", "--store", storage.uri]) == 2
    assert "--older-than-days: expected 0 or more, got -1" in capsys.readouterr().err


def test_status_tells_live_jobs_from_lost_ones(storage, capsys):
    with lease(storage, job_id="j1") as first:
        publish(storage, [part()])
        first.end("published")
    with lease(storage, job_id="j2"):
        put(storage, job_id="j0", minutes_old=11)
        assert main(["status", "--store", storage.uri, "--format", "json"]) == 0
        states = {row["job_id"]: row["state"] for row in json.loads(capsys.readouterr().out)}
        assert states == {"j2": "running", "j1": "published", "j0": "lost"}
        assert main(["status", "--store", storage.uri, "-n", "0", "--format", "json"]) == 0
        assert [row["job_id"] for row in json.loads(capsys.readouterr().out)] == ["j2"]
    assert vacuum.main(["--store", storage.uri, "--dry-run"]) == 0


def test_jobs_get_ids_of_their_own_and_end_as_done(storage):
    for _ in range(2):
        with writing_job(storage, "ingest", command="protoscore ingest"):
            pass
    first, second = load_jobs(storage)
    assert first.job_id != second.job_id
    assert [job.state for job in (first, second)] == ["done", "done"]


def test_a_job_interrupted_while_it_waits_is_no_longer_live(storage, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    with lease(storage, VACUUM, "v"):
        monkeypatch.setattr(lease_module.time, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt), lease(storage):
            pytest.fail("the vacuum is still at work")
        assert [job.job_id for job in live_jobs(storage)] == ["v"]


def test_an_error_overrides_the_outcome_set_before(storage):
    def job():
        with lease(storage) as mine:
            mine.end("published")
            raise BadData("expected rows, got none")

    with pytest.raises(BadData):
        job()
    assert the_job(storage).state == "failed"


def test_a_store_that_is_away_at_the_end_does_not_mask_why_the_job_ended(
    storage, monkeypatch, capsys
):
    monkeypatch.setenv("PROTOSCORE_RETRY_S", "0")

    def away(*_):
        raise OSError(errno.EIO, "Input/output error")

    def job():
        with lease(storage):
            monkeypatch.setattr(Storage, "write", away)
            raise BadData("--train: expected rows, got none")

    with pytest.raises(BadData, match="expected rows"):
        job()
    said = capsys.readouterr().err
    assert "the job's record could not be written: Input/output error" in said
    assert "Traceback" not in said


def test_a_job_that_has_done_its_work_has_done_it_even_if_it_cannot_say_so(
    storage, monkeypatch, capsys
):
    with lease(storage):
        monkeypatch.setattr(Storage, "write", lambda *_: 1 / 0)
    assert capsys.readouterr().err.endswith("could not be written: ZeroDivisionError\n")


def test_damaged_files_are_mended_only_under_a_lease(storage):
    with lease(storage):
        with lease(storage, job_id="within"):
            assert storage.mends
        assert storage.mends
    assert not storage.mends
