"""A store that does not answer is asked again, for a stated time and no longer."""

import itertools
import time

import pytest
from flaky_s3 import FlakyS3, flaky_s3

from scoring.errors import BadStore, Outage, UserError
from scoring.store import retries
from scoring.store.filesystems import delta_options
from scoring.store.retries import patience, patience_s, pauses
from scoring.store.storage import Storage
from scoring.tables.delta import open_table

FULL = (503, "SlowDown")
BROKEN = (500, "InternalError")
PATH = "/bucket/store/jobs/j.json"


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setattr(retries, "_FIRST_S", 0.01)
    monkeypatch.setattr(retries, "_LONGEST_S", 0.05)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("PROTOSCORE_RETRY_S", "20")
    with flaky_s3() as site:
        monkeypatch.setenv("AWS_ENDPOINT_URL", site.endpoint)
        yield site


@pytest.fixture
def storage(site: FlakyS3) -> Storage:
    return Storage("s3://bucket/store")


@pytest.mark.parametrize("answer", [BROKEN, (502, "BadGateway"), (503, "ServiceUnavailable")])
def test_a_server_that_fails_a_dozen_times_is_asked_again(site, storage, answer):
    site.bad = [answer] * 12
    storage.write("jobs/j.json", b"{}")
    assert site.files[PATH] == b"{}"
    site.bad = [answer] * 12
    assert storage.read("jobs/j.json") == b"{}"
    site.bad = [answer] * 12
    with storage.open("jobs/j.json") as file:  # as readers of Parquet do
        assert file.read() == b"{}"
    assert len(site.requests) <= 3 * 13 + 3


def test_a_body_that_breaks_off_is_read_again(site, storage):
    site.files[PATH] = b"0123456789"
    site.cut_off = 2
    assert storage.read("jobs/j.json") == b"0123456789"


@pytest.mark.parametrize("answer", [(403, "AccessDenied"), (404, "NoSuchBucket")])
def test_what_a_server_refuses_is_not_asked_again(site, storage, answer):
    site.bad, site.for_ever = [answer], True
    with pytest.raises((PermissionError, FileNotFoundError)):
        storage.read("jobs/j.json")
    assert len(site.requests) <= 2  # s3fs asks whether it is a folder


@pytest.mark.parametrize("answer", [BROKEN, FULL])
def test_after_the_stated_time_it_is_an_outage(site, storage, answer, monkeypatch):
    monkeypatch.setenv("PROTOSCORE_RETRY_S", "1")
    site.bad, site.for_ever = [answer], True
    said = f"({answer[0]}|{answer[1]})"  # answers to HEAD have a number alone
    for use in (
        lambda: storage.read("jobs/j.json"),
        lambda: storage.write("jobs/j.json", b"{}"),
        lambda: storage.exists("jobs/j.json"),
        lambda: storage.names("jobs"),
        lambda: storage.check(writable=True),
    ):
        began = time.monotonic()
        with pytest.raises(Outage, match=rf"did not answer \({said}\), tried for 1 s") as away:
            use()
        assert time.monotonic() - began < 8
        assert "hunter2" not in str(away.value)


def test_nobody_there_is_an_outage(monkeypatch, site):
    monkeypatch.setenv("PROTOSCORE_RETRY_S", "0.2")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(Outage, match=r"--store s3://bucket/store: the object storage did not"):
        Storage("s3://bucket/store").check(writable=False)
    with pytest.raises(Outage, match="the object storage did not answer"):
        open_table(Storage("s3://bucket/store"), "scores")


def test_missing_credentials_are_no_outage(site, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_REGION", "nowhere-1")  # s3fs keeps connections by their options
    with pytest.raises(BadStore, match="NoCredentialsError"):
        Storage("s3://bucket/store").check(writable=False)
    assert site.requests == []


def test_pauses_grow_differ_and_end(monkeypatch):
    now = itertools.count(step=0.0)
    monkeypatch.setattr(retries.time, "monotonic", lambda: next(now))
    first = list(itertools.islice(pauses(100), 8))
    second = list(itertools.islice(pauses(100), 8))
    assert first != second
    for drawn in (first, second):
        limits = [0.5, 1, 2, 4, 8, 15, 15, 15]
        assert all(limit / 2 <= pause <= limit for pause, limit in zip(drawn, limits, strict=True))
    assert list(pauses(0)) == []


def test_patience_comes_from_the_environment_and_from_who_cannot_wait(monkeypatch):
    monkeypatch.delenv("PROTOSCORE_RETRY_S", raising=False)
    assert patience_s() == 120
    monkeypatch.setenv("PROTOSCORE_RETRY_S", "30")
    assert delta_options("s3://bucket/x")["retry_timeout"] == "30s"
    with patience(10):
        assert patience_s() == 10
        with patience(20):
            assert patience_s() == 10
    assert patience_s() == 30
    for wrong in ("soon", "-1", "inf", "nan"):
        monkeypatch.setenv("PROTOSCORE_RETRY_S", wrong)
        with pytest.raises(UserError, match="PROTOSCORE_RETRY_S: expected seconds"):
            patience_s()


def test_who_cannot_wait_does_not(site, storage):
    site.bad, site.for_ever = [BROKEN], True
    with patience(0), pytest.raises(Outage):
        storage.write("jobs/j.json", b"{}")
    assert len(site.requests) == 1
