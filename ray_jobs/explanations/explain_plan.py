"""The plan of an explanation: the run, its layer at rest, and the examples to explain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ray_jobs.explanations.explain_flags import ExplainFlags
from scoring.analysis.snapshot import Snapshot, take_snapshot
from scoring.data.versions import DatasetVersion, load_version, load_whole_version
from scoring.errors import UnknownName, UserError
from scoring.registry import metrics
from scoring.representers.layer import Layer
from scoring.representers.question import Outputs, Question
from scoring.run_spec import Representer
from scoring.runs.at_rest import load_layer
from scoring.runs.fleet import at_rest
from scoring.runs.record import (
    Run,
    RunRecord,
    finished,
    identify,
    load_model,
    load_record,
)
from scoring.spec import Signal
from scoring.store.keys import SPLITS, Split
from scoring.store.layout import RUNS
from scoring.store.mark import check_marked
from scoring.store.storage import Storage
from scoring.tables.explanations import RepresenterModel
from scoring.tables.lookup import class_index


@dataclass(frozen=True, kw_only=True)
class ExplainPlan:
    """What to explain, and how."""

    snapshot: Snapshot
    split: Split
    base: RunRecord
    """The run whose layer is explained."""
    run: Run
    """The representer run: `base` with the layer at rest."""
    representer: Representer
    versions: Mapping[Split, DatasetVersion]
    """The data that brings the layer to rest (train) and checks it (test)."""
    explained: DatasetVersion
    """The split to explain, limited to shards that hold examples to explain."""
    question: Question
    gives_classes: bool
    """Whether the layer's outputs are classes, not hidden units."""

    @property
    def storage(self) -> Storage:
        """The store."""
        return self.snapshot.storage

    @property
    def dataset(self) -> str:
        """Name of the dataset in the tables."""
        return self.snapshot.dataset

    def model_row(self) -> RepresenterModel:
        """Return the row of `representer_models`; the layer must be at rest."""
        record = load_record(self.storage, self.run.key)
        _, evidence = load_layer(self.storage, record)
        return RepresenterModel(
            base_run=self.base.key,
            layer=evidence.layer,
            penalty=self.representer.penalty,
            targets=self.representer.targets,
            rows=record.rows,
            gradient_norm=evidence.gradient_norm,
            residual_train=evidence.train.residual,
            residual_test=evidence.test.residual,
            pearson_train=evidence.train.pearson,
            pearson_test=evidence.test.pearson,
            train_version=self.versions["train"].version,
            test_version=self.versions["test"].version,
            seconds=record.seconds,
            solved_at=datetime.fromisoformat(record.trained_at),
        )


def plan_explanations(flags: ExplainFlags) -> ExplainPlan:
    """Plan an explanation of published predictions, or refuse it.

    Raises:
        UserError: an unknown dataset, split, run, layer, class or example.
    """
    snapshot = take_snapshot(flags.store, flags.dataset)
    storage, newest = snapshot.storage, snapshot.newest
    storage.check(writable=True)
    check_marked(storage)
    if flags.split not in snapshot.splits:
        raise UnknownName("--split", flags.split, snapshot.splits)
    base = load_record(storage, find_run(storage, flags.run, newest.base))
    representer = Representer(layer=flags.layer, penalty=flags.penalty, targets=flags.targets)
    known = {**newest.trained_on, **base.versions}
    trained_on = {split: known[split] for split in SPLITS}
    run = identify(at_rest(base.spec, representer), trained_on)
    if run.parent != base.key:
        raise UserError(
            f"--run: expected a run of this version of protoscore, got {base.key}; "
            "run rescore again"
        )
    layer = Layer(load_model(storage, base, "cpu"), flags.layer)
    _check_layer(flags, layer)
    current = snapshot.current(flags.split)
    question = _question(flags, current.classes)
    source = newest.settings["dataset"]
    versions: dict[Split, DatasetVersion] = {
        "train": load_whole_version(storage, source, "train", trained_on["train"]),
        "test": load_version(storage, source, "test", trained_on["test"]),
    }
    return ExplainPlan(
        snapshot=snapshot,
        split=flags.split,
        base=base,
        run=run,
        representer=representer,
        versions=versions,
        explained=with_ids(current, flags.ids),
        question=question,
        gives_classes=layer.is_last,
    )


def find_run(storage: Storage, name: str, base: str) -> str:
    """Return the key of a finished run.

    Args:
        storage: the store.
        name: "base", or the first digits of the run's key.
        base: key of the base run of the published scores; "" if unknown.

    Raises:
        UserError: there is no such run, or several.
    """
    if name == "base":
        if not base or not finished(storage, [base]):
            raise UserError(
                "--run: expected the base model of the published scores in the store, got none; "
                f"run rescore with one of {', '.join(_metrics_of_base())}"
            )
        return base
    known = finished(storage, storage.names(RUNS))
    found = [key for key in known if key.startswith(name)]
    if len(found) != 1:
        raise UserError(
            f"--run: expected base, or the first digits of one run's key, got {name!r}, the first "
            f"digits of {len(found)} among {len(known)} runs"
        )
    return found[0]


def _metrics_of_base() -> list[str]:
    return [name for name, spec in metrics().items() if spec.signal is Signal.BASE]


def _check_layer(flags: ExplainFlags, layer: Layer) -> None:
    if layer.is_last:
        return
    for flag, value, bad in (
        ("--targets", flags.targets, "labels"),
        ("--class", flags.outputs, "label"),
    ):
        if value == bad:
            raise UserError(
                f"{flag}: expected anything else with --layer {flags.layer}, whose outputs are no "
                f"logits, got {bad}"
            )
    if flags.confused:
        raise UserError(f"--confused: expected --layer last, got --layer {flags.layer}")


def _question(flags: ExplainFlags, classes: Sequence[str]) -> Question:
    confused = None
    if flags.confused:
        label, predicted = (class_index(name, classes, "--confused") for name in flags.confused)
        confused = label, predicted
    automatic: Outputs = "label" if confused else "predicted"
    return Question(
        outputs=automatic if flags.outputs == "auto" else flags.outputs,
        k=flags.k,
        ids=tuple(sorted(set(flags.ids))),
        misclassified=flags.misclassified,
        confused=confused,
    )


def with_ids(version: DatasetVersion, ids: Sequence[int], flag: str = "--ids") -> DatasetVersion:
    """Limit a version to the shards that hold some examples; without ids, return all of it.

    Raises:
        UserError: no shard holds one of the ids; the message names the flag.
    """
    if not ids:
        return version
    shards, unknown = [], set(ids)
    for shard in version.shards:
        inside = {i for i in unknown if shard.first_id <= i < shard.first_id + shard.rows}
        unknown -= inside
        if inside:
            shards.append(shard)
    if unknown:
        raise UserError(
            f"{flag}: expected ids of the {version.split} split's {version.rows:,} examples, got "
            f"{min(unknown)}"
        )
    return replace(version, shards=tuple(shards))
