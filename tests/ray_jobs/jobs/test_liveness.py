"""Who is alive: by the store's clock, and by the process where it can be seen."""

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from job_files import JOB, put, put_file
from score_tables import part

from ray_jobs.cli import main
from ray_jobs.jobs import lease as lease_module
from ray_jobs.jobs import process_identity
from ray_jobs.jobs.job_record import VACUUM, load_jobs
from ray_jobs.jobs.lease import writing_job
from ray_jobs.jobs.process_identity import Process, this_process
from scoring.store.storage import Storage
from scoring.tables.publish import publish

OLD = "staging/conf/0123456789abcdef0123456789abcdef.parquet"


@pytest.fixture
def storage(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    with writing_job(storage, "ingest", command="protoscore ingest"):
        storage.write(OLD, b"x")
        publish(storage, [part()])
    return storage


def vacuum(storage) -> int:
    return main(["vacuum", "--older-than-days", "0", "--store", storage.uri])


def state_of(storage, job_id, capsys):
    assert main(["status", "--store", storage.uri, "--format", "json"]) == 0
    rows = {row["job_id"]: row for row in json.loads(capsys.readouterr().out)}
    return rows[job_id]["state"]


@pytest.mark.parametrize("minutes", [-600, -15, 0, 15, 600])
def test_a_clock_that_is_wrong_costs_nobody_the_lease(storage, capsys, minutes):
    says = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
    put(storage, seen_at=says, started_at=says)
    assert vacuum(storage) == 2
    assert "expected no job at work" in capsys.readouterr().err
    assert storage.exists(OLD)
    assert state_of(storage, "j1", capsys) == "running"


@pytest.mark.parametrize("minutes", [-600, 0, 600])
def test_a_job_that_has_not_written_for_ten_minutes_is_dead_whatever_it_says(
    storage, capsys, minutes
):
    says = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
    put(storage, seen_at=says, started_at=says, minutes_old=11)
    assert state_of(storage, "j1", capsys) == "lost"
    assert vacuum(storage) == 0
    assert not storage.exists(OLD)


def test_a_vacuum_elsewhere_is_waited_for_whatever_its_clock_says(storage, capsys, monkeypatch):
    monkeypatch.setattr(lease_module, "_POLL_S", 0.02)
    path = put(storage, job_id="v", job=VACUUM, seen_at="2020-01-01T00:00:00+00:00")
    began = threading.Event()

    def job():
        with writing_job(storage, "rescore", command="protoscore rescore") as lease:
            assert lease.waited
            began.set()

    thread = threading.Thread(target=job)
    thread.start()
    assert not began.wait(0.5)
    put(storage, job_id="v", job=VACUUM, seen_at="2020-01-01T00:00:00+00:00", state="done")
    assert began.wait(10)
    thread.join()
    assert "waiting for a vacuum" in capsys.readouterr().err
    assert storage.exists(path)


def test_a_vacuum_that_ended_while_the_job_planned_is_noticed_whatever_its_clock_says(storage):
    put(storage, job_id="v", job=VACUUM, seen_at="2020-01-01T00:00:00+00:00", state="done")
    planning = datetime.now(UTC) - timedelta(minutes=1)
    with writing_job(storage, "rescore", command="protoscore", started=planning) as lease:
        assert lease.waited
    put(storage, job_id="v", job=VACUUM, state="done", minutes_old=5)
    with writing_job(storage, "rescore", command="protoscore", started=planning) as lease:
        assert not lease.waited


HOLD = """
import sys, time
from ray_jobs.jobs.lease import writing_job
from scoring.store.storage import Storage
from scoring.tables.publish import publish
with writing_job(Storage(sys.argv[1]), "rescore", command="protoscore rescore", job_id="held"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_killed_job_of_this_machine_blocks_nobody(storage, capsys):
    command = [sys.executable, "-c", HOLD, storage.uri]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        assert vacuum(storage) == 2
        assert "rescore held" in capsys.readouterr().err
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert state_of(storage, "held", capsys) == "lost"
        assert vacuum(storage) == 0
    assert not storage.exists(OLD)


def mine(**changes):
    me = this_process()
    return {"pid": me.pid, "pid_space": me.space, "pid_started": me.started, **changes}


def test_a_process_that_is_still_there_is_alive_however_old_its_record(storage):
    put(storage, **mine(), minutes_old=60)  # the store was away, or a clock was set
    assert vacuum(storage) == 2
    assert storage.exists(OLD)


@pytest.mark.parametrize("changes", [{"pid_started": "1"}, {"pid": 2**22 + 1}])
def test_a_number_that_another_process_has_now_keeps_nobody_alive(storage, changes):
    put(storage, **mine(**changes))
    assert vacuum(storage) == 0


@pytest.mark.parametrize("space", ["", "another boot, same number space"])
def test_of_other_machines_and_containers_only_the_age_is_known(storage, space):
    put(storage, **mine(pid_space=space, pid=2**22 + 1))
    assert vacuum(storage) == 2
    put(storage, **mine(pid_space=space, pid=2**22 + 1), minutes_old=11)
    assert vacuum(storage) == 0


def test_a_process_that_nobody_has_asked_about_has_still_ended():
    pid = os.fork()
    if not pid:
        os._exit(0)
    me = this_process()
    stat = Path(f"/proc/{pid}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] != "Z":
        pass
    started = stat.read_text().rpartition(")")[2].split()[19]
    assert Process(pid=pid, space=me.space, started=started).is_alive() is False
    os.waitpid(pid, 0)
    assert Process(pid=pid, space=me.space, started=started).is_alive() is False
    assert me.is_alive() is True


def test_where_nothing_can_be_known_nothing_is_claimed(monkeypatch):
    monkeypatch.setattr(process_identity, "_space", lambda: "")
    monkeypatch.setattr(process_identity, "_stat", lambda pid: None)
    me = this_process()
    assert (me.space, me.started, me.is_alive()) == ("", "", None)


UNREADABLE = {
    "empty": b"",
    "half": b'{"job_id": "j0", "job',
    "foreign": b'{"name": "package", "version": 1}',
    "list": b"[]",
    "binary": bytes(range(256)),
    "no-time": json.dumps({**JOB, "seen_at": "yesterday"}).encode(),
    "no-zone": json.dumps({**JOB, "seen_at": "2026-03-01T00:00:00"}).encode(),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read_stops_nothing_and_is_named_once(storage, capsys, name):
    path = put_file(storage, name, UNREADABLE[name], minutes_old=11)
    with writing_job(storage, "rescore", command="protoscore rescore") as lease:
        lease.look_around()
    said = capsys.readouterr().err
    assert said.count(f"passed over {path}: ") == 1
    assert "Traceback" not in said
    assert state_of(storage, name, capsys) == "unreadable"
    assert vacuum(storage) == 0


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_vacuum_takes_a_young_file_that_it_cannot_read_for_a_job(storage, capsys, name):
    path = put_file(storage, name, UNREADABLE[name])
    assert vacuum(storage) == 2
    said = capsys.readouterr().err
    assert f"expected no job at work on {storage.uri}, got {path}, which cannot be read" in said
    assert storage.exists(OLD)


def test_a_record_of_a_later_version_is_read(storage, capsys):
    put(storage, job_id="later", state="hibernating", priority=7, eta_s=3)
    assert state_of(storage, "later", capsys) == "hibernating"
    assert "later" in [job.job_id for job in load_jobs(storage)]
    assert vacuum(storage) == 0
