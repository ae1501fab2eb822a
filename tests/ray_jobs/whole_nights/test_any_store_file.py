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
    say,
)
from fuzzing import (
    broken_text,
    cases,
    check_answer,
    files_below,
    mutated,
    noise_of,
    time_limit,
)
from in_process import jobs_in_process
from matplotlib.figure import Figure
from parquet_files import broken_footer, changed_table

from scoring.data.forgotten import Certificate
from scoring.errors import Damaged
from scoring.store.parquet import write_parquet
from scoring.store.sealed import BLANK, SEAL, check_seal, write_sealed
from scoring.store.storage import Storage
from scoring.tables import log_check

CASES = cases(4)  # of each kind of file
ALL_KINDS = {**KINDS, "certificate": "forgotten/*.json"}
JSON_KINDS = [kind for kind, pattern in ALL_KINDS.items() if pattern.endswith(".json")]
PARQUET_KINDS = [kind for kind, pattern in ALL_KINDS.items() if pattern.endswith(".parquet")]
COMMANDS = {
    **READERS,
    **WRITERS,
    "check": ("check", *SHOWN),
    "forget": ("forget", *SHOWN, "--split", "test", "--ids", "IDS"),
}
OFTEN = ("rescore", "plan", "report", "explain", "query")
WEIGHTS = [4 if name in OFTEN else 1 for name in COMMANDS]


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
        yield Stores(root / "published", root / "interrupted")


@dataclass(frozen=True)
class Case:
    """A store of its own to write anything to, in a folder with nothing else."""

    store: Path
    command: str
    path: str
    """Of the file to change, in the store."""

    @property
    def storage(self) -> Storage:
        return Storage(str(self.store))

    def write(self, data: bytes) -> None:
        """Replace the file; it is shared with other stores."""
        (self.store / self.path).unlink()
        (self.store / self.path).write_bytes(data)


@contextmanager
def make_case(stores, kind, noise, folder, monkeypatch):
    """Copy a store and choose a command and a file of it."""
    command = noise.choices(list(COMMANDS), WEIGHTS)[0]
    pattern = re.sub("{.*?}", "*", ALL_KINDS[kind])
    source = stores.published
    if command == "rescore" and noise.random() < 0.7 and any(stores.interrupted.glob(pattern)):
        source = stores.interrupted
    store = folder / "home" / "here" / "store"
    copy(source, store)
    path = str(noise.choice(sorted(store.glob(pattern))).relative_to(store))
    if kind == "night record":  # read only if the tables lack the night
        for table in ("nights", "log_copies/nights"):
            shutil.rmtree(store / "tables" / table)
    with monkeypatch.context() as patch:
        patch.chdir(store.parent)
        patch.setenv("HOME", str(folder / "home"))
        yield Case(store, command, path)
    shutil.rmtree(folder)


def check_case(case, what):
    """Run the command of a case on its store."""
    folder, out = case.store.parent, case.store.parent / "out"
    (folder / "ids").write_text("2\n")
    what = (case.command, case.path, what)
    before = files_below(case.store)
    words = [
        {"OUT": str(out), "IDS": str(folder / "ids")}.get(w, w) for w in COMMANDS[case.command]
    ]
    with time_limit(what):
        said = say(*words, "--store", str(case.store))
    assert {path.name for path in folder.iterdir()} <= {"ids", "store", "out"}, what
    assert list(folder.parent.iterdir()) == [folder], what
    after = files_below(case.store)
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


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_any_json_is_answered(kind, stores, tmp_path, monkeypatch):
    noise = noise_of(kind)
    for number in range(CASES):
        with make_case(stores, kind, noise, tmp_path / str(number), monkeypatch) as case:
            before = (case.store / case.path).read_bytes()
            if "_delta_log" in case.path:
                data = changed_log(before, noise)
                case.write(data)
            elif noise.random() < 0.1:
                data = damaged(before, noise)
                case.write(data)
                if data != before:
                    with pytest.raises(Damaged):
                        check_seal(case.storage, case.path)
            else:
                value = json.loads(before)
                del value[SEAL]
                data = sealed_text(mutated(value, noise), noise)
                case.write(data)
                if data.startswith(b"{") and BLANK.encode() in data:
                    write_sealed(case.storage, case.path, data)
            check_case(case, data[:3000])


@pytest.mark.parametrize("kind", PARQUET_KINDS)
def test_any_parquet_is_answered(kind, stores, tmp_path, monkeypatch):
    noise = noise_of(kind)
    for number in range(CASES):
        with make_case(stores, kind, noise, tmp_path / str(number), monkeypatch) as case:
            before = (case.store / case.path).read_bytes()
            way = noise.choice(["damaged", "footer", *4 * ["table"]])
            if way == "damaged":
                data = damaged(before, noise)
                case.write(data)
                if data != before:
                    with pytest.raises(Damaged):
                        check_seal(case.storage, case.path)
            elif way == "footer":
                case.write(broken_footer(before, case.path, noise))
            else:
                table, way, options = changed_table(before, noise)
                (case.store / case.path).unlink()
                write_parquet(case.storage, case.path, table, **options)
            check_case(case, way)
