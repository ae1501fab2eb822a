"""`protoscore evaluate representers`: how exactly shares make up a prediction, and what they cost.

The last layer of the base model is brought to rest under several penalties (Figure 1 of Yeh et al.
2018); under the first of them, representer values are held against influence functions, and both
drawn for one test example against the distance of the training examples (Figure 9).
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import numpy as np
import tyro

from ray_jobs.engine import Engine, engine
from ray_jobs.evaluations.evaluating import Evaluation, evaluating
from ray_jobs.explanations.explain import bring_to_rest
from ray_jobs.explanations.explain_flags import ExplainFlags
from ray_jobs.explanations.explain_plan import ExplainPlan, plan_explanations, with_ids
from ray_jobs.terminal.console import default_store, parse_flags
from ray_jobs.terminal.night_flags import MachineFlags
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
    """How exactly shares make up a prediction, what they cost, and influence functions beside."""

    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    dataset: str | None = None
    """May be left out where only one is published."""
    run: str = "base"
    """The run whose last layer it is: the base model of the published scores, or a run's key."""
    penalties: Annotated[tuple[float, ...], tyro.conf.arg(name="lambdas")] = (
        0.003,
        0.0003,
        0.001,
        0.01,
        0.03,
    )
    """L2 penalties to compare; influence is compared under the first."""
    tests: int = 200
    """Test examples that are explained both ways: the first ones."""
    example: int | None = None
    """Id of the test example that is drawn; default: the first of these that is misclassified,
    else the first."""
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
            compared, points = _on_a_worker(cluster, first, flags)
        _tell(evaluation, plans, compared)
        evaluation.publish("representers_example", points)
    return 0


def _tell(evaluation: Evaluation, plans: Mapping[float, ExplainPlan], compared: Comparison) -> None:
    found = [f for penalty, plan in plans.items() for f in _exactness(penalty, plan)]
    found += attribution.findings(compared)
    columns = [(split, measure) for split in ("train", "test") for measure in _MEASURES]
    columns += [("", measure) for measure in attribution.MEASURES]
    evaluation.tell("representers", found, columns)


def _check_example(plan: ExplainPlan, example: int) -> None:
    """Refuse an id that no labelled, readable test example has.

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
    """What the proof of a layer at rest says."""
    record = load_record(plan.storage, plan.run.key)
    _, evidence = load_layer(plan.storage, record)
    proofs: dict[Split, Exactness] = {"train": evidence.train, "test": evidence.test}
    rows = {split: version.trainable for split, version in plan.versions.items()}
    return [
        Finding(
            subject=f"lambda {penalty:g}",
            part=split,
            measure=measure,
            value=getattr(proofs[split], measure),
            rows=rows[split],
        )
        for split in proofs
        for measure in _MEASURES
    ]


def _on_a_worker(
    engine: Engine, plan: ExplainPlan, flags: RepresentersFlags
) -> tuple[Comparison, list[Finding]]:
    print(f"compare: {flags.tests} test examples", file=sys.stderr, flush=True)
    memory = flags.machine.train_memory_bytes
    return engine.call(_compare, plan, flags.tests, flags.example, memory)


def _compare(
    plan: ExplainPlan, tests: int, example: int | None, memory: int
) -> tuple[Comparison, list[Finding]]:
    """The comparison, and the points of the example that is drawn."""

    def rows(version: DatasetVersion) -> LayerRows:
        return gather_rows(plan.storage, plan.base.key, plan.representer.layer, version, memory)

    train, test = rows(plan.versions["train"]), rows(plan.versions["test"])
    rest, _ = load_layer(plan.storage, load_record(plan.storage, plan.run.key))
    objective = Objective(
        features=train.features,
        targets=targets_of(plan.representer, rest.loss, train),
        loss=rest.loss,
        penalty=plan.representer.penalty,
    )
    some, at = np.arange(min(tests, len(test.ids))), None
    if example is not None:
        (wanted,) = np.flatnonzero(test.ids == example)
        some = np.union1d(some, wanted)
        at = int(np.searchsorted(some, wanted))
    compared = attribution.compare(
        Setting(
            objective=objective,
            rest=rest,
            features=test.features[some],
            labels=test.labels[some],
            example=at,
        )
    )
    drawn = int(test.ids[some[compared.example.position]])
    classes = plan.versions["train"].classes
    return compared, example_points(compared.example, drawn, train.ids, train.labels, classes)
