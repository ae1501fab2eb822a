"""`protoscore verify` names what is damaged or missing, and --mend restores it or sets it aside."""

import pytest
from score_tables import night_row, part, run_row

from ray_jobs.cli import main
from scoring.data.forgotten import Certificate
from scoring.store.mark import ensure_marked
from scoring.store.storage import Storage
from scoring.tables import Store, log_check
from scoring.tables.nights import append_night
from scoring.tables.publish import publish

KEY = "0123456789abcdef" * 2
NIGHT = "20260301T010000Z-00000001"


@pytest.fixture
def storage(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    ensure_marked(storage)
    publish(storage, [part(key=KEY)])
    append_night(storage, night_row(NIGHT), [run_row(NIGHT)])
    return storage


@pytest.fixture
def verify(storage, capsys, monkeypatch):
    """Run the command; return its exit code and lines."""

    def run(*flags):
        monkeypatch.setattr(log_check, "_checked", set())
        code = main(["verify", "--store", storage.uri, *flags])
        return code, capsys.readouterr().out.splitlines()

    return run


def one(storage, folder, ending):
    (path,) = (file.path for file in storage.walk(folder) if file.path.endswith(ending))
    return path


def manifest(storage, ending):
    paths = [file.path for file in storage.walk("tables/manifests")]
    return next(path for path in paths if path.endswith(".copy.json") == (ending == ".copy.json"))


def test_an_undamaged_store(verify):
    assert verify() == (0, ["every file is as it was written"])


@pytest.mark.parametrize("ending", [".json", ".copy.json"])
def test_one_of_two_records_is_missing(storage, verify, ending):
    path = manifest(storage, ending)
    data = storage.read(path)
    storage.remove([path])
    assert verify() == (5, [f"--store: expected {path}, got no such file, but its twin"])
    assert verify("--mend")[0] == 5
    assert verify()[0] == 0
    assert storage.read(path) == data


def test_a_certificate_without_its_copy(storage, verify):
    certificate = Certificate(
        id=NIGHT,
        dataset="digits",
        split="train",
        ids=(1,),
        names=(),
        hashes=(),
        shards=(),
        began_at="2026-03-01T01:00:00+00:00",
    )
    certificate.save(storage)
    path = f"forgotten/{NIGHT}.copy.json"
    data = storage.read(path)
    storage.remove([path])
    assert verify() == (5, [f"--store: expected {path}, got no such file, but its twin"])
    assert verify("--mend")[0] == 5
    assert verify()[0] == 0
    assert storage.read(path) == data


def test_a_record_whose_writer_died_lacks_no_twin(storage, verify):
    path = manifest(storage, ".json")
    folder, _, name = path.rpartition("/")
    storage.write(f"{folder}/.{name}.{KEY}.partial", storage.read(path)[:20])
    assert verify() == (0, ["every file is as it was written"])
    assert verify("--mend")[0] == 0


def test_a_missing_data_file_leaves_its_table(storage, verify):
    path = one(storage, "tables/nights", ".parquet")
    storage.remove([path])
    assert verify() == (5, [f"--store: expected {path}, got no such file"])
    assert verify("--mend") == (5, [f"--store: expected {path}, got no such file"])
    assert verify()[0] == 0
    assert len(Store(storage.uri).nights()) == 0
    assert len(Store(storage.uri).scores()) == 30


def test_a_damaged_log_is_named_and_restored(storage, verify):
    path = f"tables/scores/_delta_log/{1:020}.json"
    data = storage.read(path)
    storage.remove([path])
    code, (line,) = verify()
    assert code == 5
    assert line.startswith(f"--store: expected {path} as it was committed, got a damaged file or")
    assert verify("--mend") == (5, [line])
    assert verify()[0] == 0
    assert storage.read(path) == data


def test_files_that_are_not_ours_are_left_alone(storage, verify):
    for path in ("tables/notes.parquet", "runs/tb/events", "thesis.tex"):
        storage.write(path, b"mine")
    assert verify("--mend")[0] == 0
    assert storage.read("runs/tb/events") == b"mine"
