import json
import os
import pickle
import subprocess
import sys
from datetime import timedelta

import pytest

from scoring.errors import BadStore, Outage
from scoring.store.filesystems import filesystem
from scoring.store.mark import ensure_marked
from scoring.store.storage import Storage
from scoring.tables import Store

pytestmark = pytest.mark.s3


@pytest.fixture
def storage(s3_store):
    return Storage(f"{s3_store}/a folder/é+%")


def test_artefacts_are_written_and_read(storage):
    storage.check(writable=True)
    assert storage.names("runs") == set()
    storage.write("runs/k1/run.json", b"{}")
    storage.write("runs/k2/run.json", b"[1]")
    assert storage.read("runs/k2/run.json") == b"[1]"
    assert storage.read_all(["runs/k2/run.json", "runs/k1/run.json"]) == [b"[1]", b"{}"]
    assert storage.names("runs") == {"k1", "k2"}
    assert storage.exists("runs/k1/run.json")
    paths = [f"runs/k{i}/run.json" for i in range(1, 40)]
    assert storage.existing(paths) == set(paths[:2])
    storage.delete("runs/k1")
    storage.delete("runs/never")
    assert storage.names("runs") == {"k2"}
    with pytest.raises(FileNotFoundError):
        storage.read("runs/k1/run.json")


def test_what_another_job_writes_is_seen(storage):
    other = pickle.loads(pickle.dumps(storage))
    assert not storage.exists("x")
    assert storage.names("") == set()
    other.write("x", b"1")
    assert storage.exists("x")
    assert storage.names("") == {"x"}


def test_an_artefact_larger_than_one_request(storage):
    data = os.urandom(1 << 20) * 60  # s3fs cuts uploads into 50 MiB pieces
    storage.write("model.safetensors", data)
    assert storage.read("model.safetensors") == data


FAIL = """
import sys
from scoring.store import storage
storage._UPLOAD_BLOCK = 5 << 20  # the least that S3 takes
with storage.Storage(sys.argv[1]).writing("x") as file:
    file.write(bytes(int(sys.argv[2])))
    raise OSError("no more")
"""


@pytest.mark.parametrize("size", [3, 12 << 20])
def test_an_upload_that_fails_is_not_begun_again(storage, size):
    """As s3fs does when Python disposes of the file; at the end of a process it then hangs."""
    done = subprocess.run(
        [sys.executable, "-c", FAIL, storage.uri, str(size)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.stderr.endswith("OSError: no more\n")
    bucket = storage.uri.removeprefix("s3://").partition("/")[0]
    found = filesystem(storage.uri)[0].call_s3("list_multipart_uploads", Bucket=bucket)
    assert "Uploads" not in found
    assert storage.names("") == set()


def test_a_probe_that_stays_is_in_nobodys_way(storage, monkeypatch):
    """The store may fail between the write that tries it and the removal, or the job be killed."""

    def fail(_):
        raise OSError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(filesystem(storage.uri)[0], "rm_file", fail)
        with pytest.raises(BadStore, match=r"expected a writable store"):
            storage.check(writable=True)
    assert len(storage.names("")) == 1
    ensure_marked(storage)
    storage.check(writable=True)


FAILURES = {
    "bucket": ("s3://no-such-bucket/store", {}, r"404 Not Found"),
    "secret": (None, {"AWS_SECRET_ACCESS_KEY": "WRONGSECRET"}, r"403 Forbidden"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_store_that_cannot_be_read_is_one_line_without_secrets(s3_store, name, monkeypatch):
    uri, environment, reason = FAILURES[name]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(BadStore, match=rf"--store: expected a readable store.* \({reason}\)$") as e:
        Store(uri or s3_store).scores()
    for secret in ("\n", "WRONGSECRET", os.environ["AWS_ACCESS_KEY_ID"] + "/", "Signature"):
        assert secret not in str(e.value)


def test_a_store_that_is_away_is_an_outage_without_secrets(s3_store, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("PROTOSCORE_RETRY_S", "1")
    with pytest.raises(Outage, match=r"the object storage did not answer \(") as e:
        Store(s3_store).scores()
    for secret in ("\n", os.environ["AWS_ACCESS_KEY_ID"] + "/", "Signature"):
        assert secret not in str(e.value)


def test_a_store_has_a_clock_of_its_own(s3_store):
    storage = Storage(s3_store)
    storage.write("x", b"1")
    (file,) = storage.walk("")
    assert abs(storage.now() - file.modified) < timedelta(seconds=10)


CHECK = """
import json, sys
from scoring.errors import BadStore, Outage
from scoring.store.storage import Storage
said = []
for writable in (False, True):
    try:
        Storage(sys.argv[1]).check(writable=writable)
    except BadStore as error:
        said.append(str(error))
print(json.dumps(said))
"""


@pytest.mark.parametrize("name", ["bucket", "secret"])
def test_a_store_is_refused_before_any_work(s3_store, name):
    """In a process of its own: s3fs keeps connections with the credentials they began with."""
    uri, environment, _ = FAILURES[name]
    done = subprocess.run(
        [sys.executable, "-c", CHECK, uri or s3_store],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(done.stdout)
    assert len(said) == 2
    for message in said:
        assert message.startswith("--store: expected a ")
        assert "WRONGSECRET" not in message
        assert "\n" not in message
