"""Files that lie: whatever is damaged, readers get undamaged rows or a line that says why not.

Prints a table: for each kind of file and way of damage, how many commands answered as if nothing
had happened, how many refused in one line, and how many nights it took to mend the store.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from damage import (
    KINDS,
    READERS,
    WAYS,
    WRITERS,
    Said,
    build_interrupted,
    build_published,
    copy,
    damage,
    find,
    rescore,
    say,
)
from in_process import jobs_in_process
from matplotlib.figure import Figure

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
WITHOUT_ROWS = ("status", "plan", "vacuum --dry-run", "verify")
NIGHTS = 3  # tries to mend a store


@dataclass(frozen=True)
class Stores:
    """A published store, an interrupted one, and what an undamaged store answers."""

    published: Path
    interrupted: Path
    answers: dict[str, object]
    after: dict[Path, object]
    """What `SCORES` gives once a night has been run on each store."""


@dataclass
class Tally:
    """What became of one kind of damage."""

    equal: int = 0
    said: int = 0
    nights: int = 0
    wrong: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    root = tmp_path_factory.mktemp("stores")
    published, interrupted = root / "published", root / "interrupted"
    with jobs_in_process(), pytest.MonkeyPatch.context() as patch:
        # Most of a report's time goes into figures; they are drawn from what the pages show too.
        patch.setattr(Figure, "savefig", lambda _, file, **__: file.write("<svg></svg>"))
        build_interrupted(interrupted, patch)
        build_published(published, interrupted)
        answers = {name: read(published, name)[1] for name in READERS}
        after = {}
        for store in (published, interrupted):
            finished = root / f"{store.name} after"
            copy(store, finished)
            assert rescore(finished).code == 0
            after[store] = rows(finished)
        yield Stores(published, interrupted, answers, after)


def run(store: Path, flags: tuple[str, ...]) -> tuple[Said, Path]:
    """Run a command on a store; return also where its output goes, if it writes any."""
    out = store.with_name(f"{store.name} out")
    return say(*[str(out) if flag == "OUT" else flag for flag in flags], "--store", str(store)), out


def read(store: Path, name: str) -> tuple[Said, object]:
    """Run a reader; return also what it gave, to compare."""
    said, out = run(store, READERS[name])
    gave: object = None
    if said.code == 0 and name not in WITHOUT_ROWS:
        if name == "report":
            gave = {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("data/**/*.*")}
        elif name == "export":
            gave = out.read_text()
        else:
            gave = [rounded(row) for row in json.loads(said.out)]
    shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
    return said, gave


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Sums may differ in their last digit from one run of DuckDB to the next."""
    return {k: round(v, 9) if isinstance(v, float) else v for k, v in row.items()}


def rows(store: Path) -> object:
    """The published scores, or why they cannot be read."""
    said, gave = read(store, "query")
    return gave if said.code == 0 else said.err


def is_refusal(said: Said, name: str) -> bool:
    return said.is_plain or (name.startswith("verify") and said.code == 5)


def mended(store: Path, kind: str, want: object, tally: Tally, after: str) -> None:
    """Run nights until one succeeds; then the published scores must be the undamaged ones."""
    if kind == "mark":  # as the message says
        (store / "protoscore.json").unlink(missing_ok=True)
        assert run(store, ("adopt",))[0].code == 0
    nights = [rescore(store)]
    while nights[-1].code and len(nights) < NIGHTS:
        nights.append(rescore(store))
    tally.nights = max(tally.nights, len(nights))
    tally.wrong += [f"night after {after}: {n}" for n in nights if n.code and not n.is_plain]
    if (gave := rows(store)) != want:
        got = gave if isinstance(gave, str) else "other rows"
        tally.wrong.append(f"night after {after}: {got}")


def try_everything(stores: Stores, kind: str, way: str, folder: Path) -> Tally | None:
    """Damage a file of the published store and run every command on it."""
    file = find(stores.published, kind)
    if file is None:
        return None
    store, tally = folder / "damaged", Tally()
    copy(stores.published, store)
    damage(store / file.relative_to(stores.published), way)

    def note(name: str, said: Said, *, equal: bool) -> None:
        if said.code == 0 and equal:
            tally.equal += 1
        elif is_refusal(said, name):
            tally.said += 1
        else:
            tally.wrong.append(f"{name}: {said}")

    for name in READERS:
        said, gave = read(store, name)
        note(name, said, equal=gave == stores.answers[name])
    for name, flags in WRITERS.items():
        written = folder / name
        copy(store, written)
        said, out = run(written, flags)
        note(name, said, equal=True)
        out.unlink(missing_ok=True)
        if name in ("rescore", "vacuum", "verify --mend"):
            mended(written, kind, stores.after[stores.published], tally, name)
        if name == "verify --mend" and (again := run(written, ("verify",))[0]).code:
            tally.wrong.append(f"verify after a night after verify --mend: {again}")
        shutil.rmtree(written)
    shutil.rmtree(store)
    return tally


def finish_interrupted(stores: Stores, kind: str, way: str, folder: Path) -> Tally | None:
    """Damage a file of the interrupted store and finish its night."""
    file = find(stores.interrupted, kind)
    if file is None:
        return None
    store, tally = folder / "interrupted", Tally()
    copy(stores.interrupted, store)
    damage(store / file.relative_to(stores.interrupted), way)
    mended(store, kind, stores.after[stores.interrupted], tally, "it was interrupted")
    shutil.rmtree(store)
    return tally


@pytest.mark.parametrize("way", WAYS)
def test_whatever_is_damaged_nothing_is_wrong(
    stores: Stores, way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, lines = [], [f"\n{way:<20} {'equal':>6} {'said':>6} {'nights':>7} {'wrong':>6}"]
    trials: tuple[Callable[..., Tally | None], ...] = (try_everything, finish_interrupted)
    for kind in KINDS:
        tallies = [t for trial in trials if (t := trial(stores, kind, way, tmp_path))]
        found = [f"{kind} {way}: {line}" for tally in tallies for line in tally.wrong]
        equal, said = (sum(getattr(t, name) for t in tallies) for name in ("equal", "said"))
        nights = max(tally.nights for tally in tallies)
        lines.append(f"{kind:<20} {equal:>6} {said:>6} {nights:>7} {len(found):>6}")
        wrong += found
    with capsys.disabled():
        print("\n".join(lines), flush=True)
    assert not wrong, "\n".join(wrong)
