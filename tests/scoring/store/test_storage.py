import os
import pickle
import threading

import pytest
from s3_store import SECRET

from scoring.errors import BadStore
from scoring.store.filesystems import delta_options, filesystem
from scoring.store.storage import Storage


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path / "store"))


def test_artefacts_are_written_and_read(store_uri):
    storage = Storage(store_uri)
    assert storage.names("runs") == set()
    assert not storage.exists("runs/a/run.json")
    storage.write("runs/a/run.json", b"{}")
    storage.write("runs/b/run.json", b"[1]")
    storage.write("runs/a/run.json", b"{1}")
    assert storage.names("runs") == {"a", "b"}
    assert storage.read("runs/a/run.json") == b"{1}"
    paths = [f"runs/{name}/run.json" for name in "abc"]
    assert storage.existing(paths) == set(paths[:2])
    assert storage.read_all(paths[1::-1]) == [b"[1]", b"{1}"]
    with pytest.raises(FileNotFoundError):
        storage.read(paths[2])
    storage.delete("runs/a")
    storage.delete("runs/nothing")
    assert storage.names("runs") == {"b"}


def test_a_store_travels_as_its_uri(store_uri):
    storage = Storage(store_uri)
    storage.write("x", b"1")
    assert pickle.loads(pickle.dumps(storage)).read("x") == b"1"
    assert SECRET.encode() not in pickle.dumps(storage)


def test_a_reader_never_sees_part_of_an_artefact(storage):
    """Two writers and a reader of one name: it is always all of one of the two."""
    sizes = (3_000_000, 5_000_000)
    whole = {size: bytes([i]) * size for i, size in enumerate(sizes)}
    storage.write("x", whole[sizes[0]])
    stop = threading.Event()

    def write(data):
        while not stop.is_set():
            storage.write("x", data)

    writers = [threading.Thread(target=write, args=(data,)) for data in whole.values()]
    for writer in writers:
        writer.start()
    try:
        seen = set()
        for _ in range(200):
            data = storage.read("x")
            assert data == whole[len(data)]
            seen.add(len(data))
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert seen == set(sizes)
    assert os.listdir(storage.uri) == ["x"]


def test_a_write_that_fails_leaves_what_was_there(storage, monkeypatch):
    storage.write("x", b"old")

    def fail(*_):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", fail)
        with pytest.raises(OSError, match=r"no space"):
            storage.write("x", b"new")
    assert storage.read("x") == b"old"


@pytest.mark.parametrize("size", [0, 3, 12 << 20])  # nothing, one PUT, three parts
def test_a_large_artefact_appears_once_it_is_whole(store_uri, monkeypatch, size):
    monkeypatch.setattr("scoring.store.storage._UPLOAD_BLOCK", 5 << 20)  # the least that S3 takes
    storage, data = Storage(store_uri), os.urandom(size)
    with storage.writing("a/x") as file:
        for start in range(0, size, 1 << 20):
            file.write(data[start : start + (1 << 20)])
        assert file.tell() == size
        assert not storage.exists("a/x")
    assert storage.read("a/x") == data


@pytest.mark.parametrize("size", [3, 12 << 20])
def test_a_large_artefact_that_fails_leaves_nothing(store_uri, monkeypatch, size):
    monkeypatch.setattr("scoring.store.storage._UPLOAD_BLOCK", 5 << 20)
    storage = Storage(store_uri)
    storage.write("a/old", b"old")

    def fail(name):
        with storage.writing(name) as file:
            file.write(bytes(size))
            raise KeyboardInterrupt

    for name in ("a/new", "a/old"):
        with pytest.raises(KeyboardInterrupt):
            fail(name)
    assert [file.path for file in storage.walk("a")] == ["a/old"]
    assert storage.read("a/old") == b"old"


def test_a_folder_that_is_not_there_yet_will_do(tmp_path):
    for uri in (str(tmp_path / "a" / "b"), f"file://{tmp_path}/c"):
        for writable in (True, False):
            Storage(uri).check(writable=writable)
    assert list(tmp_path.iterdir()) == []


def test_file_uris_are_local_folders(tmp_path):
    Storage(f"file://{tmp_path}/store").write("x", b"1")
    assert Storage(str(tmp_path / "store")).read("x") == b"1"


def test_a_store_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    for uri in (tmp_path / "file", tmp_path / "file" / "store"):
        with pytest.raises(BadStore, match=r"--store: expected a writable .* \(NotADirectoryError"):
            Storage(str(uri)).check(writable=True)


def test_a_folder_that_you_may_not_use(tmp_path, monkeypatch):
    """As for any user but root: the system refuses."""
    wanted = []

    def refuse(path, mode):
        wanted.append(mode)
        return not mode & os.W_OK

    monkeypatch.setattr(os, "access", refuse)
    Storage(str(tmp_path)).check(writable=False)
    with pytest.raises(BadStore, match=r"--store: expected a writable .* \(PermissionError\)"):
        Storage(str(tmp_path)).check(writable=True)
    assert [bool(mode & os.W_OK) for mode in wanted] == [False, True]


@pytest.mark.parametrize("uri", ["nosuch://x", "gs://bucket/x", "memory://x", "http://host/x"])
def test_schemes_that_hold_no_store(uri):
    with pytest.raises(BadStore, match=r"expected a local path or s3://bucket/prefix, got '.*x'$"):
        Storage(uri).check(writable=True)


@pytest.mark.parametrize("uri", ["s3://KEY:SECRET@bucket/x", "ftp://user:SECRET@host/x"])
def test_credentials_in_a_uri_are_refused_and_not_repeated(uri):
    with pytest.raises(BadStore, match=r"expected credentials in the environment") as error:
        filesystem(uri)
    assert "SECRET" not in str(error.value)


@pytest.mark.s3
def test_checking_an_s3_bucket_leaves_nothing(s3_store):
    storage = Storage(s3_store)
    for writable in (True, False):
        storage.check(writable=writable)
        assert storage.names("") == set()


@pytest.mark.s3
def test_an_s3_bucket_that_may_only_be_read(s3_store, s3_gateway):
    import botocore.session

    bucket, _, prefix = s3_store.removeprefix("s3://").partition("/")
    client = botocore.session.get_session().create_client("s3", endpoint_url=s3_gateway.endpoint)
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"}
    policy = {**deny, "Resource": f"arn:aws:s3:::{bucket}/{prefix}/*"}
    text = str({"Version": "2012-10-17", "Statement": [policy]}).replace("'", '"')
    client.put_bucket_policy(Bucket=bucket, Policy=text)
    try:
        Storage(s3_store).check(writable=False)
        with pytest.raises(BadStore, match=r"--store: expected a writable .* \(PermissionError\)"):
            Storage(s3_store).check(writable=True)
    finally:
        client.delete_bucket_policy(Bucket=bucket)


def test_options_of_delta_come_from_the_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert delta_options("/folder") == {}
    assert delta_options("s3://bucket/x") == {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ALLOW_HTTP": "true",
        "max_retries": "1000",
        "retry_timeout": "120s",
    }
