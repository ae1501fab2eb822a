"""Whatever stands on a command line, the answer is an exit code and a line, and it comes soon.

Random flags with hostile values, for every command, in an empty folder and on a small store. The
door to Ray is closed, so nothing is trained.
"""

import re
import sys
from itertools import takewhile
from types import SimpleNamespace

import pytest
from fuzzing import VALUES, cases, check_answer, noise_of, time_limit
from score_tables import night_row, part, run_row, write_classes

from ray_jobs.cli import main
from ray_jobs.commands import COMMANDS
from ray_jobs.commands.evaluate import EVALUATIONS
from ray_jobs.jobs import submission
from scoring.errors import IncompleteError
from scoring.store.mark import ensure_marked
from scoring.store.storage import Storage
from scoring.tables.nights import append_night
from scoring.tables.publish import publish

CASES = cases(26)  # for each command
LINES = [
    *(name for name in COMMANDS if name != "evaluate"),
    *(f"evaluate {name}" for name in EVALUATIONS if name != "toy"),  # trains behind no door
]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The URI of a small store."""
    storage = Storage(str(tmp_path_factory.mktemp("built") / "store"))
    ensure_marked(storage)
    parts = [part("conf"), part("agr", n=20), part("conf", split="train", n=12)]
    publish(storage, parts)
    append_night(storage, night_row("night-1"), [run_row("night-1")])
    write_classes(storage, parts[0][0])
    return storage


@pytest.fixture
def here(built, tmp_path, monkeypatch):
    """A folder of its own to run in, with a copy of the store."""
    for file in built.walk(""):
        Storage(str(tmp_path / "store")).write(file.path, built.read(file.path))
    (tmp_path / "file").write_text("label,image\n1,x\n")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for name in ("PROTOSCORE_STORE", "RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(
        sys.modules, "ray_jobs.on_ray.ray_engine", SimpleNamespace(ray_engine=closed)
    )
    monkeypatch.setattr(submission, "submit", closed)
    return tmp_path


def closed(*_args, **_flags):
    raise IncompleteError("expected to get no further, got to the door")


def flags_and_words(line, capsys):
    """Read the flags of a command from its help, and the words that it offers as values."""
    with pytest.raises(SystemExit):
        main([*line.split(), "--help"])
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    flags = set(re.findall(r"(?<![\w-])--?[a-z][\w.-]*", shown)) - {"-h", "--help"}
    offered = {word for words in re.findall(r"\{([\w,.-]+)\}", shown) for word in words.split(",")}
    return sorted(flags), (*VALUES, *sorted(offered))


def random_line(line, flags, values, noise):
    """Make up a command line: mostly flags that exist, with values that may or may not suit."""
    words = line.split()
    for _ in range(noise.randrange(6)):
        flag = noise.choice(flags) if flags and noise.random() < 0.9 else noise.choice(values)
        if flag == "--address":  # a cluster that is not there is waited for
            continue
        words.append(flag)
        words += noise.choices(values, k=noise.choice([0, 1, 1, 1, 1, 2]))
    if "--store" in flags and noise.random() < 0.7:
        words += ["--store", noise.choice(["store", "store", "empty"])]
    return words


def imported(words):
    """Return the files that the command line's last --import names."""
    last = len(words) - words[::-1].index("--import") if "--import" in words else len(words)
    return list(takewhile(lambda word: not word.startswith("-"), words[last:]))


def answer(words):
    """Return the exit code, of whatever kind of exit."""
    try:
        return main(words)
    except SystemExit as stop:  # a flag that prints and exits
        return stop.code or 0


@pytest.mark.parametrize("line", LINES)
def test_any_command_line_is_answered(line, here, capsys):
    flags, values = flags_and_words(line, capsys)
    noise = noise_of(line)
    for _ in range(CASES):
        words = random_line(line, flags, values, noise)
        with time_limit(words):
            code = answer(words)
        said = capsys.readouterr()
        files = max(1, len(imported(words)))
        check_answer(words, code, said.out, said.err, files)
        if code == 2:
            errors = said.err.count("protoscore: error: ")
            assert len(said.err.strip().splitlines()) == errors, (words, said.err)
