"""Find how far a metric depends on the seed, the net and the batch size of its trainings.

Runs a night for each combination, and compares the rankings of each metric example by example.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Annotated, Any

from ray_jobs.evaluations.evaluating import Evaluation, evaluating
from ray_jobs.evaluations.run_nights import name_of, prepare, run_nights
from ray_jobs.night.request import check
from ray_jobs.night.situation import assess
from ray_jobs.terminal.night_flags import NightFlags, parse
from ray_jobs.terminal.shared_flags import by_default
from scoring.analysis import across_trainings
from scoring.analysis.score_table import read_scores
from scoring.analysis.statistics import percentiles_of
from scoring.errors import UserError
from scoring.nets import check_net
from scoring.spec import Metric
from scoring.store.keys import Split
from scoring.tables import Store

_APART = 100  # no fleet has more runs of a kind


@dataclass(frozen=True, kw_only=True)
class StabilityFlags(NightFlags):
    """The flags of a night, and what the nights differ in."""

    metrics: tuple[str, ...] = across_trainings.DEFAULT_METRICS
    """Metrics to evaluate."""
    seeds: tuple[int, ...] = (0, 100)
    """First seeds of the fleets to compare. Seeds of a fleet's runs count up from its first, so
    keep fleets 100 apart."""
    nets: Annotated[tuple[str, ...], by_default("only the fleet's")] = ()
    """Nets to compare."""
    batches: Annotated[tuple[int, ...], by_default("only the recipe's")] = ()
    """Training batches to compare, in rows."""
    split: Split = "test"
    """Split whose rankings to compare."""

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        super().check()
        varied = (self.seeds, self.nets or [""], self.batches or [0])
        if math.prod(len({*values}) for values in varied) < 2:
            raise UserError("--seeds: expected two trainings or more to compare, got one")
        if self.nets and self.fleet.net:
            raise UserError(f"--net: expected --nets instead, got --net {self.fleet.net}")
        for net in self.nets:
            check_net(net)
        if any(rows <= 0 for rows in self.batches):
            raise UserError(f"--batches: expected numbers above 0, got {min(self.batches)}")


def main(argv: Sequence[str], command: str) -> int:
    """Run the nights and compare them."""
    flags, configs = parse(argv, "protoscore evaluate stability", __doc__ or "", StabilityFlags)
    flags.check()
    name = name_of(flags)
    nights = _nights(flags, name)
    _refuse_overlap(nights.values(), configs)
    requests = prepare([*nights.values()], configs)
    with evaluating(requests[0].storage, name, command) as evaluation:
        plans = run_nights(requests, command)
        _evaluate(evaluation, flags, nights, plans[0].request.metrics)
    return 0


def _nights(flags: StabilityFlags, name: str) -> dict[str, StabilityFlags]:
    """Return the flags of a night for each combination of seed, net and batch size."""
    nights = {}
    for seed, net, rows in product(
        dict.fromkeys(flags.seeds),
        dict.fromkeys(flags.nets) or [""],
        dict.fromkeys(flags.batches) or [None],
    ):
        training = f"seed {seed}" + f" {net}" * bool(net) + (f" batch {rows}" if rows else "")
        fleet = replace(flags.fleet, seed=seed, net=net or flags.fleet.net, train_batch_rows=rows)
        publish_as = f"{name}-stability-{training.replace(' ', '-')}"
        nights[training] = replace(flags, fleet=fleet, publish_as=publish_as, splits=(flags.split,))
    return nights


def _evaluate(
    evaluation: Evaluation,
    flags: StabilityFlags,
    nights: Mapping[str, StabilityFlags],
    metrics: Sequence[Metric],
) -> None:
    store, findings = Store(evaluation.storage.uri), []
    for metric in metrics:
        rankings = {
            training: percentiles_of(read_scores(store, night.publish_as, flags.split, metric.name))
            for training, night in nights.items()
        }
        findings += across_trainings.findings(metric.name, rankings)
    columns = [("all", "spearman"), ("all", "instance_sd")]
    pairs = dict.fromkeys(f.part for f in findings if f.part != "all")
    columns += [(pair, "spearman") for pair in pairs]
    evaluation.report(f"stability_{flags.split}", findings, columns)


def _refuse_overlap(nights: Iterable[StabilityFlags], configs: Mapping[str, Any]) -> None:
    """Refuse fleets that share runs, which would make them agree more than they should."""
    runs = {}
    for night in nights:
        alone = replace(night.night(), replace=True)
        situation = assess(check(alone, configs, writable=False))
        specs = situation.fleet.needed(situation.signals(), situation.request.splits)
        runs[night.fleet.seed] = {(spec.kind, spec.seed) for spec in specs}
    for one, other in combinations(runs, 2):
        if runs[one] & runs[other]:
            raise UserError(
                f"--seeds: expected fleets without common runs, got {one} and {other}, from which "
                f"the seeds of their runs count up; pass {one} and {one + _APART}"
            )
