"""`protoscore evaluate representers`: how exactly shares make up a prediction, and what they cost.

The last layer of the base model is brought to rest under several penalties (Figure 1 of Yeh et al.
2018); under the first of them, representer values are held against influence functions.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import tyro

from ray_jobs.console import default_store, parse_flags
from ray_jobs.evaluations.output import tell
from ray_jobs.explain import bring_to_rest
from ray_jobs.explain_flags import ExplainFlags
from ray_jobs.explain_plan import ExplainPlan, plan_explanations
from ray_jobs.flags import MachineFlags
from scoring.analysis import attribution
from scoring.analysis.attribution import Compared, Setting
from scoring.data.versions import DatasetVersion
from scoring.errors import UserError
from scoring.keys import Split
from scoring.representers.decomposition import Proof
from scoring.representers.rows import LayerRows, gathered
from scoring.representers.runs import load_layer, targets_of
from scoring.representers.solve import Objective
from scoring.runs import load_record
from scoring.tables.evaluations import Finding

_GB = 1 << 30
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
    """Test examples that are explained both ways."""
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
    asked = ExplainFlags(store=flags.store, dataset=flags.dataset, run=flags.run)
    plans = {
        penalty: plan_explanations(replace(asked, penalty=penalty))
        for penalty in dict.fromkeys(flags.penalties)
    }
    from ray_jobs.cluster import cluster

    with cluster(flags.machine.address, flags.machine.cpus):
        for plan in plans.values():
            bring_to_rest(plan, flags.machine)
        first = next(iter(plans.values()))
        compared = _on_a_worker(first, flags)
    found = [f for penalty, plan in plans.items() for f in _exactness(penalty, plan)]
    found += attribution.findings(compared)
    columns = [(split, measure) for split in ("train", "test") for measure in _MEASURES]
    columns += [("", measure) for measure in attribution.MEASURES]
    tell(first.storage, first.dataset, "representers", found, columns, command)
    return 0


def _exactness(penalty: float, plan: ExplainPlan) -> list[Finding]:
    """What the proof of a layer at rest says."""
    record = load_record(plan.storage, plan.run.key)
    _, evidence = load_layer(plan.storage, record)
    proofs: dict[Split, Proof] = {"train": evidence.train, "test": evidence.test}
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


def _on_a_worker(plan: ExplainPlan, flags: RepresentersFlags) -> Compared:
    """The driver may be a small head node."""
    import ray

    memory = int(flags.machine.train_memory_gb * _GB)
    compare = ray.remote(num_cpus=1)(_compare)
    print(f"compare: {flags.tests} test examples", file=sys.stderr, flush=True)
    compared: Compared = ray.get(compare.remote(plan, flags.tests, memory))
    return compared


def _compare(plan: ExplainPlan, tests: int, memory: int) -> Compared:
    def rows(version: DatasetVersion) -> LayerRows:
        return gathered(plan.storage, plan.base.key, plan.about.layer, version, memory)

    train, test = rows(plan.versions["train"]), rows(plan.versions["test"])
    rest, _ = load_layer(plan.storage, load_record(plan.storage, plan.run.key))
    objective = Objective(
        features=train.features,
        targets=targets_of(plan.about, rest.loss, train),
        loss=rest.loss,
        penalty=plan.about.penalty,
    )
    some = slice(0, tests)
    setting = Setting(
        objective=objective, rest=rest, features=test.features[some], labels=test.labels[some]
    )
    return attribution.compare(setting)
