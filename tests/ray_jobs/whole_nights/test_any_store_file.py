"""Whatever the files of a store hold, the answer is a code and a line, and it comes soon.

Files are damaged, which their seals must show, or written anew with other contents and the right
seals, which only a reader of the contents can tell.
"""

import json
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from damage import (
    KINDS,
    READERS,
    SHOWN,
    WRITERS,
    build_interrupted,
    build_published,
    copy,
    find,
    say,
)
from fuzzing import (
    broken_text,
    cases,
    check_answer,
    check_refusal,
    files_below,
    mutated,
    noise_of,
    time_limit,
)
from in_process import jobs_in_process
from matplotlib.figure import Figure
from parquet_files import broken_footer, changed_table
from readers import READ

from scoring.data.forgotten import Certificate
from scoring.data.studies import Screen, new_study
from scoring.errors import Damaged
from scoring.store.file_kinds import is_twice
from scoring.store.layout import copy_path, original_path
from scoring.store.parquet import write_parquet
from scoring.store.sealed import BLANK, SEAL, check_seal, write_sealed
from scoring.store.storage import Storage
from scoring.tables import log_check
from scoring.tables.publish import published

CASES = cases(2)  # of each kind of file
READ_CASES = cases(20)
ALL_KINDS = {**KINDS, "certificate": "forgotten/*.json", "study": "studies/*.json"}
CHANGED = [kind for kind in ALL_KINDS if not ALL_KINDS[kind].endswith(".safetensors")]
COMMANDS = {
    **READERS,
    **WRITERS,
    "check": ("check", *SHOWN),
    "forget": ("forget", *SHOWN, "--split", "test", "--ids", "IDS"),
    "review": ("review", *SHOWN, "--checks", "5", "--output", "OUT"),
    "study": ("study", "--import", "ANSWERS"),
}
READ_BY = {
    ("version", "receipt", "layout", "shard", "correction"): (
        "rescore",
        "plan",
        "report",
        "export",
        "forget",
    ),
    ("import", "run.json", "tally", "logits", "staged"): ("rescore", "explain", "plan", "forget"),
    ("layer", "features"): ("rescore", "explain", "report", "evaluate"),
    ("scores", "manifest", "log"): ("query", "outliers", "diff", "report", "export", "rescore"),
    ("nights", "runs", "night record"): ("query nights", "query runs", "report", "rescore"),
    ("evaluations", "representers"): ("query evaluations", "query representers", "report"),
    ("probabilities", "issues"): ("query probabilities", "query issues", "report", "export"),
    ("verdicts", "review"): ("query verdicts", "report", "review", "forget"),
    ("job record", "certificate"): ("status", "vacuum", "rescore", "forget"),
    ("study",): ("study", "study", "forget"),
}
"""Beginnings of the names of kinds, to the commands that most likely read them."""


@dataclass(frozen=True)
class Stores:
    """A store with everything in it, and one with a night that was interrupted."""

    published: Path
    interrupted: Path


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    root = tmp_path_factory.mktemp("stores")
    with jobs_in_process(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda _, file, **__: file.write("<svg></svg>"))
        build_interrupted(root / "interrupted", patch)
        build_published(root / "published", root / "interrupted")
        Certificate(
            id="20260301T010000Z-00000000", dataset="digits", split="test", ids=(100_000,),
            names=("gone",), hashes=("0" * 64,), shards=("0" * 32,), began_at="2026-03-01T01:00:00",
            data_files={"scores": ("gone.parquet",)}, removed={"tables": 1}, models=("0" * 32,),
        ).save(Storage(str(root / "published")))  # fmt: skip
        write_study(root / "published")
        yield Stores(root / "published", root / "interrupted")


def write_study(store):
    """Write a study of two screens, and someone's answers beside the store."""
    manifest = next(iter(published(Storage(str(store)), dataset="digits").values()))
    screens = (
        Screen(question="best", label=0, shown=tuple(range(60, 69))),
        Screen(question="worst", label=1, shown=tuple(range(70, 79)), gold=3),
    )
    study = new_study(
        dataset="digits", data="digits", split="test", sets=(screens, screens),
        dataset_version=manifest.dataset_version,
    )  # fmt: skip
    study.save(Storage(str(store)))
    answers = {"study": study.id, "set": 1, "chooser": "0" * 32, "picks": [2, 4]}
    (store.parent / "answers").write_text(json.dumps(answers))


@dataclass(frozen=True)
class File:
    """A file of a store; other stores may share it until it is written."""

    store: Path
    path: str

    @property
    def storage(self) -> Storage:
        return Storage(str(self.store))

    def read(self) -> bytes:
        return (self.store / self.path).read_bytes()

    def remove(self) -> None:
        (self.store / self.path).unlink(missing_ok=True)

    def write(self, data: bytes) -> bytes:
        self.remove()
        (self.store / self.path).write_bytes(data)
        return data


@dataclass(frozen=True)
class Case:
    """A command, and a file to change before, in a folder with nothing but a store."""

    command: str
    file: File


def pattern_of(kind):
    return re.sub("{.*?}", "*", ALL_KINDS[kind])


@contextmanager
def make_case(stores, kind, noise, folder, monkeypatch):
    """Copy a store and choose a command and a file of it."""
    likely = [c for kinds, names in READ_BY.items() for c in names if kind.startswith(kinds)]
    command = noise.choice(likely if likely and noise.random() < 0.7 else list(COMMANDS))
    pattern = pattern_of(kind)
    source = stores.published
    if command == "rescore" and noise.random() < 0.7 and any(stores.interrupted.glob(pattern)):
        source = stores.interrupted
    store = folder / "home" / "here" / "store"
    copy(source, store)
    shutil.copy(stores.published.parent / "answers", store.parent)
    path = str(noise.choice(sorted(store.glob(pattern))).relative_to(store))
    if kind == "night record":  # read only if the tables lack the night
        for table in ("nights", "log_copies/nights"):
            shutil.rmtree(store / "tables" / table)
    with monkeypatch.context() as patch:
        patch.chdir(store.parent)
        patch.setenv("HOME", str(folder / "home"))
        yield Case(command, File(store, path))
    shutil.rmtree(folder)


def check_case(case, what):
    """Run the command of a case on its store."""
    folder, out = case.file.store.parent, case.file.store.parent / "out"
    (folder / "ids").write_text("62\n")
    what = (case.command, case.file.path, what)
    before = files_below(case.file.store)
    names = {"OUT": str(out), "IDS": str(folder / "ids"), "ANSWERS": str(folder / "answers")}
    words = [names.get(word, word) for word in COMMANDS[case.command]]
    with time_limit(what):
        said = say(*words, "--store", str(case.file.store))
    assert {path.name for path in folder.iterdir()} <= {"ids", "answers", "store", "out"}, what
    assert list(folder.parent.iterdir()) == [folder], what
    after = files_below(case.file.store)
    assert not [path for path in after if path.endswith(".partial")], what
    if case.command in READERS:
        jobs = {path for path in before.keys() | after if path.startswith("jobs/")}
        assert {p: f for p, f in after.items() if p not in jobs} == {
            p: f for p, f in before.items() if p not in jobs
        }, what
    if not case.command.startswith("verify") or said.code == 2:  # it lists what it found
        check_answer(what, said.code, said.out, said.err)


def damaged(data, noise):
    """Change some bytes of a file."""
    at = noise.randrange(len(data))
    return noise.choice(
        [
            data[:at],
            data[:at] + noise.randbytes(2) + data[at:],
            data[:at] + bytes([data[at] ^ 1 << noise.randrange(8)]) + data[at + 1 :],
            data[:at] + data[at + 1 :],
            data[at:],
        ]
    )


def sealed_text(value, noise):
    """Write a JSON value as text with room for a seal, if the text can have one."""
    value = {**value, SEAL: BLANK} if isinstance(value, dict) else {"value": value, SEAL: BLANK}
    text = json.dumps(value, indent=1).encode()
    return broken_text(text, noise) if noise.random() < 0.15 else text


def changed_log(data, noise):
    """Change a commit, and hash it as it would have been hashed."""
    actions = [json.loads(line) for line in data.decode().splitlines()]
    which = noise.randrange(len(actions))
    actions[which] = mutated(actions[which], noise)
    info = next((a["commitInfo"] for a in actions if isinstance(a, dict) and "commitInfo" in a), {})
    try:
        metadata = {k: v for k, v in info.items() if k in log_check._METADATA}
        info[log_check._HASH] = log_check._hash(list(log_check._read(actions)), metadata)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return "".join(json.dumps(action) + "\n" for action in actions).encode()


def change(file: File, noise) -> object:
    """Damage a file, or write it anew with other contents; return what it is now."""
    before = file.read()
    if noise.random() < 0.1:
        data = damaged(before, noise)
        file.write(data)
        if data != before and "_delta_log" not in file.path:  # a log holds more than its hash
            with pytest.raises(Damaged):
                check_seal(file.storage, file.path)
        return data
    if "_delta_log" in file.path:
        return file.write(changed_log(before, noise))
    return change_json(file, noise) if file.path.endswith(".json") else change_parquet(file, noise)


def change_json(file: File, noise) -> object:
    value = json.loads(file.read())
    del value[SEAL]
    data = sealed_text(mutated(value, noise), noise)
    original = original_path(file.path)
    twins = (original, copy_path(original)) if is_twice(file.path) else (file.path,)
    for path in twins:
        twin = File(file.store, path)
        twin.write(data)
        if data.startswith(b"{") and BLANK.encode() in data:
            write_sealed(file.storage, path, data)
    return data


def change_parquet(file: File, noise) -> object:
    before = file.read()
    if noise.random() < 0.2:
        file.write(broken_footer(before, file.path, noise))
        return "another footer"
    table, what, options = changed_table(before, noise)
    file.remove()
    write_parquet(file.storage, file.path, table, **options)
    return what


@pytest.mark.parametrize("kind", [kind for kind in CHANGED if kind in KINDS])
def test_any_file_is_read_or_refused(kind, stores, tmp_path, caplog):
    """Each kind of file by its own reader, which is quick."""
    noise = noise_of(f"read {kind}")
    pattern = pattern_of(kind)
    source = next(s for s in (stores.published, stores.interrupted) if any(s.glob(pattern)))
    copy(source, store := tmp_path / "store")
    file = File(store, str(find(store, kind).relative_to(store)))
    before = file.read()
    for _ in range(READ_CASES):
        what = change(file, noise)
        log_check._checked.clear()  # a process checks an entry once
        try:
            with time_limit(what):
                READ[kind](file.storage, file.path)
        except Exception as error:
            check_refusal((file.path, what), error)
        file.write(before)


@pytest.mark.parametrize("kind", CHANGED)
def test_any_file_is_answered(kind, stores, tmp_path, monkeypatch):
    """Each kind of file by commands of all kinds."""
    noise = noise_of(kind)
    for number in range(CASES):
        with make_case(stores, kind, noise, tmp_path / str(number), monkeypatch) as case:
            check_case(case, change(case.file, noise))
