"""Find how exactly shares add up to a prediction, and how they compare with influence functions.

Brings the last layer of the base model to rest under several penalties (Figure 1 of Yeh et al.
2018). Under the first penalty, compares representer values with influence functions, in what they
say and what they cost, and draws both for one test example against the distance of the training
examples (Figure 9).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import numpy as np
import tyro

from ray_jobs.engine import Engine, engine
from ray_jobs.evaluations.evaluating import Evaluation, evaluating
from ray_jobs.explanations.explain_flags import ExplainFlags
from ray_jobs.explanations.explain_plan import ExplainPlan, plan_explanations, with_ids
from ray_jobs.explanations.make import bring_to_rest
from ray_jobs.terminal.console import default_store, parse_flags
from ray_jobs.terminal.night_flags import MachineFlags
from ray_jobs.terminal.say import note
from ray_jobs.terminal.shared_flags import AllowedNets, PublishedDataset, StoreUri, by_default
from scoring.allowed_nets import allow_nets
from scoring.analysis import attribution
from scoring.analysis.attribution import Comparison, Setting
from scoring.analysis.points import example_points
from scoring.data.shards import read_shard
from scoring.data.versions import DatasetVersion
from scoring.errors import UserError
from scoring.representers.decomposition import Exactness
from scoring.representers.layer_rows import LayerRows, gather_rows
from scoring.representers.solve import Objective
from scoring.runs.at_rest import load_layer, targets_of
from scoring.runs.record import load_record
from scoring.store.keys import Split
from scoring.tables.findings import Finding

_MEASURES = ("pearson", "mean_difference", "residual")


@dataclass(frozen=True, kw_only=True)
class RepresentersFlags:
    """The layers to bring to rest, and the test examples to compare on."""

    store: StoreUri = field(default_factory=default_store)
    dataset: PublishedDataset = None
    run: str = "base"
    """Run whose last layer to use: base, the base model of the published scores, or a run's key."""
    penalties: Annotated[tuple[float, ...], tyro.conf.arg(name="lambdas")] = (
        0.003,
        0.0003,
        0.001,
        0.01,
        0.03,
    )
    """L2 penalties to compare. Influence functions are compared under the first."""
    tests: int = 200
    """Number of test examples, from the first on, to explain both ways."""
    example: Annotated[
        int | None, by_default("the first of --tests that is misclassified, else the first")
    ] = None
    """Id of the test example to draw."""
    allow_nets: AllowedNets = ()
    machine: tyro.conf.OmitArgPrefixes[MachineFlags] = field(default_factory=MachineFlags)

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        if not self.penalties or min(self.penalties) <= 0:
            raise UserError(f"--lambdas: expected numbers above 0, got {self.penalties or 'none'}")
        if self.tests <= 0:
            raise UserError(f"--tests: expected a number above 0, got {self.tests}")
        self.machine.check()


def main(argv: Sequence[str], command: str) -> int:
    """Bring the layer to rest under each penalty, then compare."""
    flags = parse_flags(RepresentersFlags, argv, "protoscore evaluate representers", __doc__)
    flags.check()
    allow_nets(flags.allow_nets)
    explain = ExplainFlags(store=flags.store, dataset=flags.dataset, run=flags.run)
    plans = {
        penalty: plan_explanations(replace(explain, penalty=penalty))
        for penalty in dict.fromkeys(flags.penalties)
    }
    first = next(iter(plans.values()))
    if flags.example is not None:
        _check_example(first, flags.example)
    with evaluating(first.storage, first.dataset, command) as evaluation:
        with engine(flags.machine, first.dataset) as cluster:
            for plan in plans.values():
                bring_to_rest(cluster, plan)
            comparison, points = _on_a_worker(cluster, first, flags)
        _report(evaluation, plans, comparison)
        evaluation.publish("representers_example", points)
    return 0


def _report(
    evaluation: Evaluation, plans: Mapping[float, ExplainPlan], comparison: Comparison
) -> None:
    findings = [f for penalty, plan in plans.items() for f in _exactness(penalty, plan)]
    findings += attribution.findings(comparison)
    columns = [(split, measure) for split in ("train", "test") for measure in _MEASURES]
    columns += [("", measure) for measure in attribution.MEASURES]
    evaluation.report("representers", findings, columns)


def _check_example(plan: ExplainPlan, example: int) -> None:
    """Refuse an id unless it is that of a labelled, readable test example.

    Raises:
        UserError: naming the flag.
    """
    test = with_ids(plan.versions["test"], [example], "--example")
    shard = read_shard(plan.storage, test.name, test.shards[0], test.shape)
    row = shard.ids == example
    if not (shard.decodable[row] & (shard.labels[row] >= 0)).all():
        raise UserError(
            f"--example: expected a test example with a label and a readable {shard.kind}, got "
            f"{example}, which lacks one"
        )


def _exactness(penalty: float, plan: ExplainPlan) -> list[Finding]:
    """Return how exactly the shares of a layer at rest add up to its outputs."""
    record = load_record(plan.storage, plan.run.key)
    _, evidence = load_layer(plan.storage, record)
    exactness: dict[Split, Exactness] = {"train": evidence.train, "test": evidence.test}
    rows = {split: version.trainable for split, version in plan.versions.items()}
    return [
        Finding(
            subject=f"lambda {penalty:g}",
            part=split,
            measure=measure,
            value=getattr(exactness[split], measure),
            rows=rows[split],
        )
        for split in exactness
        for measure in _MEASURES
    ]


def _on_a_worker(
    engine: Engine, plan: ExplainPlan, flags: RepresentersFlags
) -> tuple[Comparison, list[Finding]]:
    note(f"compare: {flags.tests} test examples")
    machine = flags.machine
    where = (machine.train_memory_bytes, machine.scratch_folder)
    return engine.call(_compare, plan, flags.tests, flags.example, *where)


def _compare(
    plan: ExplainPlan, tests: int, example: int | None, memory: int, scratch: str
) -> tuple[Comparison, list[Finding]]:
    """Compare both methods; return the comparison and the points of the example to draw."""

    def rows(version: DatasetVersion) -> LayerRows:
        layer = plan.representer.layer
        return gather_rows(plan.storage, plan.base.key, layer, version, memory, scratch)

    train, test = rows(plan.versions["train"]), rows(plan.versions["test"])
    rest, _ = load_layer(plan.storage, load_record(plan.storage, plan.run.key))
    objective = Objective(
        features=train.features,
        targets=targets_of(plan.representer, rest.loss, train),
        loss=rest.loss,
        penalty=plan.representer.penalty,
    )
    chosen, position = np.arange(min(tests, len(test.ids))), None
    if example is not None:
        (row,) = np.flatnonzero(test.ids == example)
        chosen = np.union1d(chosen, row)
        position = int(np.searchsorted(chosen, row))
    comparison = attribution.compare(
        Setting(
            objective=objective,
            rest=rest,
            features=test.features[chosen],
            labels=test.labels[chosen],
            example=position,
        )
    )
    drawn, classes = comparison.example, plan.versions["train"].classes
    drawn_id = int(test.ids[chosen[drawn.position]])
    return comparison, example_points(drawn, drawn_id, train.ids, train.labels, classes)
