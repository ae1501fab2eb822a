"""Find how soon each metric finds flipped labels, and what fixing them gains.

Training labels are flipped at random, several times, with a night for each draw. Then training
examples are inspected in the order of every metric, of influence, of the loss and at random. The
flipped labels among them are fixed, and the last layer is trained again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import tyro

from ray_jobs.evaluations.evaluating import Evaluation, evaluating
from ray_jobs.evaluations.run_nights import name_of, prepare, run_nights
from ray_jobs.jobs.progress import Progress
from ray_jobs.night.plan import Plan
from ray_jobs.terminal.data_flags import DataFlags
from ray_jobs.terminal.night_flags import NightFlags, parse
from scoring.analysis import mending
from scoring.analysis.mending import MislabelledRows
from scoring.analysis.score_table import read_scores
from scoring.arrays import Floats, Ints
from scoring.data.altered import Relabelled, cached_layout
from scoring.data.versions import load_whole_version
from scoring.errors import UserError
from scoring.registry import metrics
from scoring.representers.layer_rows import gather_rows
from scoring.spec import Signal
from scoring.tables import Store

_INSPECTED = tuple(i / 20 for i in range(1, 9))  # as in the paper's figure
_SHOWN = 0.3


@dataclass(frozen=True, kw_only=True)
class DebuggingFlags(NightFlags):
    """The flags of a night, how labels are flipped, and how many examples are inspected."""

    flips: float = 0.4
    """Share of the training labels to flip."""
    draws: int = 5
    """Number of draws to average over."""
    inspected: tuple[float, ...] = _INSPECTED
    """Shares of the training examples to inspect."""
    data: tyro.conf.OmitArgPrefixes[DataFlags] = field(default_factory=DataFlags)

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        super().check()
        if not 0 < self.flips < 1:
            raise UserError(f"--flips: expected a share between 0 and 1, got {self.flips}")
        if self.draws < 1:
            raise UserError(f"--draws: expected a number above 0, got {self.draws}")
        if bad := [share for share in self.inspected if not 0 < share <= 1]:
            raise UserError(f"--inspected: expected shares above 0 and up to 1, got {bad[0]}")


def main(argv: Sequence[str], command: str) -> int:
    """Run the nights, then inspect and fix."""
    flags, configs = parse(argv, "protoscore evaluate debugging", __doc__ or "", DebuggingFlags)
    flags.check()
    name, share = name_of(flags), _share_to_draw(flags)
    needed = [s.name for s in metrics().values() if s.signal is Signal.REPRESENTER]
    nights = [
        replace(
            flags,
            metrics=tuple(dict.fromkeys([*(flags.metrics or metrics()), *needed])),
            data=replace(flags.data, relabel=share, alter_seed=draw),
            publish_as=f"{name}-debugging-{draw}",
            splits=("train",),
        )
        for draw in range(flags.draws)
    ]
    requests = prepare(nights, configs)
    with evaluating(requests[0].storage, name, command) as evaluation:
        _evaluate(evaluation, flags, run_nights(requests, command))
    return 0


def _evaluate(evaluation: Evaluation, flags: DebuggingFlags, plans: Sequence[Plan]) -> None:
    curves = []
    with Progress("mend", len(plans), "draw") as progress:
        for draw, plan in enumerate(plans):
            case = _case(plan)
            orders = {**_by_metrics(plan, case.train.ids), **mending.suspicions(case, draw)}
            curves.append(mending.curves(case, orders, flags.inspected))
            progress.advance()
    findings = mending.findings(curves, len(case.true))
    shown = min(flags.inspected, key=lambda share: abs(share - _SHOWN))
    some, none = mending.part_name(shown), mending.part_name(0)
    columns = [(some, "flips_found"), (none, "test_accuracy"), (some, "test_accuracy")]
    evaluation.report("debugging", findings, columns)


def _share_to_draw(flags: DebuggingFlags) -> float:
    """Return the share of labels to redraw. One in C of them keeps its value and is not flipped."""
    if flags.data.relabel:
        raise UserError(f"--relabel: expected --flips instead, got --relabel {flags.data.relabel}")
    classes = len(cached_layout(flags.data.source()).classes)
    share = flags.flips * classes / (classes - 1)
    if share > 1:
        raise UserError(
            f"--flips: expected at most {(classes - 1) / classes:g} with {classes} classes, got "
            f"{flags.flips}"
        )
    return share


def _case(plan: Plan) -> MislabelledRows:
    """Gather the features of the base run, the given labels and the true ones."""
    storage, models, machine = plan.request.storage, plan.models, plan.request.flags.machine
    (run,) = (run for run in plan.runs if run.spec == models.fleet.representer)
    representer = run.spec.layer_at_rest
    rows = {
        split: gather_rows(
            storage,
            run.parent,
            representer.layer,
            load_whole_version(storage, plan.request.source.name, split, version),
            machine.train_memory_bytes,
            machine.scratch_here,
        )
        for split, version in models.trained_on.items()
    }
    return MislabelledRows(
        train=rows["train"],
        true=_true_labels(plan, rows["train"].ids),
        test=rows["test"],
        penalty=representer.penalty,
    )


def _true_labels(plan: Plan, ids: Ints) -> Ints:
    """Return the original labels [N] of training examples."""
    source = plan.request.source
    assert isinstance(source, Relabelled)
    true = np.empty(len(ids), dtype=np.int64)
    for shard in plan.situation.surveys["train"].shards:
        here = (ids >= shard.first_id) & (ids < shard.first_id + shard.rows)
        true[here] = source.true_labels(shard.piece)[shard.taken][ids[here] - shard.first_id]
    return true


def _by_metrics(plan: Plan, ids: Ints) -> dict[str, Floats]:
    """Return the suspicion [N] by each metric: the lower the percentile, the more suspicious."""
    store, suspicions = Store(plan.request.storage.uri), {}
    for metric in plan.request.metrics:
        scores = read_scores(store, plan.request.publish_as, "train", metric.name)
        order = np.argsort(scores.ids)
        at = order[np.searchsorted(scores.ids[order], ids)]
        suspicions[metric.name] = -scores.percentile[at]
    return suspicions
