"""How runs are packed into trials: by a rough estimate of how long each trains."""

from collections.abc import Mapping, Sequence

from scoring.data.slice import Slice
from scoring.data.versions import DatasetVersion
from scoring.runs.record import Run
from scoring.store.keys import Split

_PACK_SECONDS = 20.0  # long next to a trial's overhead of 0.7 s, short enough to lose in a crash
_TRIALS_PER_SLOT = 4  # at least, so that all slots stay busy to the end
_PASSES_PER_SECOND = 20_000.0  # of a small net on one core


def pack(runs: Sequence[Run], rows: Mapping[str, int], slots: int) -> list[tuple[Run, ...]]:
    """Group short runs into trials; a child stays with its parent, after it.

    Args:
        runs: the runs to train, parents before children.
        rows: by run key, the rows that a run trains on or leaves some out of; none for imports.
        slots: number of trials that run at once.
    """
    families: dict[str, list[Run]] = {}
    for run in runs:
        home = run.parent if run.parent in families else run.key
        families.setdefault(home, []).append(run)
    costs = {home: sum(_seconds(r, rows) for r in family) for home, family in families.items()}
    limit = min(_PACK_SECONDS, sum(costs.values()) / (slots * _TRIALS_PER_SLOT))
    packs: list[list[Run]] = []
    room = 0.0
    for home in sorted(families, key=lambda home: -costs[home]):  # the longest must not come last
        if not packs or costs[home] > room:
            packs.append([])
            room = limit
        packs[-1] += families[home]
        room -= costs[home]
    return [tuple(p) for p in packs]


def rows_to_train_on(
    runs: Sequence[Run], versions: Mapping[Split, DatasetVersion], slices: Mapping[str, Slice]
) -> dict[str, int]:
    """Return, by run key, the rows that each run trains on or leaves some out of."""
    return {
        run.key: len(slices[run.key].ids) if run.key in slices else versions[run.spec.split].rows
        for run in runs
        if run.spec.splits()
    }


def _seconds(run: Run, rows: Mapping[str, int]) -> float:
    """Roughly estimate how long a run trains; only decides how runs are packed and ordered."""
    spec = run.spec
    if spec.kind == "imported":
        return 1.0
    count = int(rows[run.key] * spec.share)
    passes = count * spec.recipe.epochs_for(count)
    factor = 3.0 if spec.kind == "private" else 1.0
    return passes * factor * spec.net.width / _PASSES_PER_SECOND
