"""Columns of the published tables, each with the comment that tables and views carry.

`scores` is partitioned by dataset, split and metric: these columns are in the table's log, not in
its data files. `nights` and `runs` only grow, by one night at a time. `evaluations` is partitioned
by dataset and evaluation, `probabilities`, `issues`, `verdicts` and `example_sets` by dataset and
split, `representers` by dataset, split and run, `representer_models` by dataset and run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from scoring.store.keys import Split

COMMENT = "comment"
"""The key of a comment in a column's metadata, as Delta Lake has it."""
_TIME = pa.timestamp("us", tz="UTC")


def commented(columns: Mapping[str, tuple[pa.DataType, str]]) -> pa.Schema:
    """Return a schema from each column's type and comment."""
    return pa.schema(
        pa.field(name, kind, metadata={COMMENT: comment})
        for name, (kind, comment) in columns.items()
    )


def comment_of(column: pa.Field) -> str:
    """Return the comment of a column; "" if it has none."""
    metadata: dict[bytes, bytes] = column.metadata or {}
    return metadata.get(COMMENT.encode(), b"").decode()


_PARTITION_COMMENTS = {
    "dataset": "the name that it is published under",
    "split": "train or test",
    "metric": "its name; the view metrics describes it",
    "evaluation": "its name, as protoscore evaluate knows it",
    "run": "key of the representer run that explains",
}


def with_partition_columns(names: Iterable[str], data: pa.Schema) -> pa.Schema:
    """Return the schema of a table as readers see it, partition columns first."""
    partition = commented({name: (pa.string(), _PARTITION_COMMENTS[name]) for name in names})
    return pa.schema([*partition, *data])


@dataclass(frozen=True)
class ExampleColumn:
    """A column that holds example ids: a row leaves the table when its example is forgotten."""

    name: str
    split: Split | None = None
    """Split of the examples; None: that of the row's partition."""


ADDED = frozenset({"given_label", "corrected", "excluded", "test_accuracy"})
"""Columns that tables were given later: tables and data files of earlier nights lack them."""


def without_added(schema: pa.Schema) -> pa.Schema:
    """Return the columns of a schema that data files of any age have."""
    return pa.schema([field for field in schema if field.name not in ADDED])


def completed(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows of a data file in a schema of today, with nulls in the columns that it lacks."""
    for name in schema.names:
        if name in ADDED and name not in rows.column_names:
            rows = rows.append_column(name, pa.nulls(len(rows), schema.field(name).type))
    return rows.select(schema.names).cast(schema)


PARTITION_COLUMNS = ("dataset", "split", "metric")
SCORES_EXAMPLES = (ExampleColumn("example_id"),)

SCORES = commented(
    {
        "example_id": (pa.int64(), "the id that protoscore gave the example"),
        "name": (pa.string(), "the user's own id, or the file name"),
        "label": (pa.int32(), "class index; null where unknown or excluded"),
        "given_label": (pa.int32(), "the source's, where a correction changed it; else null"),
        "predicted": (pa.int32(), "class index, by the ensemble's mean or by the base model"),
        "value": (pa.float64(), "in the metric's unit; null for the reason in status"),
        "spread": (pa.float64(), "standard deviation of value over runs, if there are several"),
        "status": (pa.string(), "why there is no value; null where there is one"),
        "rank": (
            pa.int64(),
            "0 = most outlying; by value, or by class_z if the metric's ranked_by says so; "
            "null if not ranked",
        ),
        "percentile": (pa.float64(), "of rank in the split: 0 = outlying, 100 = prototypical"),
        "class_percentile": (
            pa.float64(),
            "of rank in the class: 0 = outlying, 100 = prototypical",
        ),
        "class_z": (
            pa.float64(),
            "standard deviations of value from its class's mean; not turned, as value",
        ),
        "scored_at": (_TIME, "when the value was computed"),
        "dataset_version": (pa.string(), "the version of the split that all rows belong to"),
        "score_key": (pa.string(), "the staged shard with the value"),
    }
)
"""A data file of `scores`; rows sorted by (label, rank), nulls last."""

SCORES_TABLE = with_partition_columns(PARTITION_COLUMNS, SCORES)
"""`scores` as readers see it."""

NIGHTS = commented(
    {
        "night_id": (pa.string(), "the job that published it"),
        "date": (pa.date32(), "the day it is for"),
        "dataset": (pa.string(), "the name that its scores are published under"),
        "started_at": (_TIME, "when the job began"),
        "finished_at": (_TIME, "when the job had published"),
        "command": (pa.string(), "the command line"),
        "train_version": (pa.string(), "dataset version of the train split"),
        "test_version": (pa.string(), "dataset version of the test split"),
        "metrics": (pa.list_(pa.string()), "the metrics that it published"),
        "runs_trained": (pa.int64(), "runs that it trained"),
        "runs_reused": (pa.int64(), "runs that were trained before"),
        "shards_scored": (pa.int64(), "(metric, shard) pairs that it scored"),
        "shards_reused": (pa.int64(), "(metric, shard) pairs that were scored before"),
        "rows": (pa.int64(), "published, over all partitions"),
        "commit_version": (pa.int64(), "version of scores"),
        "corrected": (pa.int64(), "rows whose class is not the source's"),
        "excluded": (pa.int64(), "rows that a correction excludes"),
        "test_accuracy": (pa.float64(), "share of labelled test rows predicted as labelled"),
        "seconds": (pa.float64(), "from start to finish"),
    }
)
"""`nights`: one row per published night."""

RUNS = commented(
    {
        "night_id": (pa.string(), "the night that used the run"),
        "run_key": (pa.string(), "hash of all that made it"),
        "kind": (pa.string(), "plain, finetuned, private, imported or representer"),
        "split": (pa.string(), "the split that it trained on"),
        "net": (pa.string(), "its name, or package.module:factory"),
        "width": (pa.float64(), "factor on the net's channels or units"),
        "recipe": (pa.string(), "how it was trained, as JSON"),
        "seed": (pa.int64(), "of weights, order of batches, and subset"),
        "subset": (pa.float64(), "fraction of the split it trained on"),
        "epsilon_target": (pa.float64(), "privacy asked for; null unless private"),
        "epsilon_spent": (pa.float64(), "privacy spent; null unless private"),
        "delta": (pa.float64(), "of its privacy; null unless private"),
        "train_accuracy": (
            pa.float64(),
            "on the train split; of the rows trained on, over the last epoch",
        ),
        "test_accuracy": (
            pa.float64(),
            "on the test split; of the rows trained on, over the last epoch",
        ),
        "rows": (pa.int64(), "rows that it trained on"),
        "epochs": (pa.int64(), "epochs that it trained for"),
        "seconds": (pa.float64(), "that the training took"),
        "host": (pa.string(), "the machine that trained it"),
        "device": (pa.string(), "cpu or cuda"),
        "trained_at": (_TIME, "when the training ended"),
        "reused": (pa.bool_(), "trained on an earlier night"),
    }
)
"""`runs`: every run behind a night's scores."""

EVALUATION_COLUMNS = ("dataset", "evaluation")

EVALUATIONS = commented(
    {
        "subject": (pa.string(), "a metric, or something to compare it with"),
        "part": (pa.string(), "a tenth, a corruption, a pair of seeds; empty if there is only one"),
        "measure": (pa.string(), "what was measured"),
        "value": (pa.float64(), "null where undefined"),
        "spread": (pa.float64(), "standard deviation, if value is a mean"),
        "rows": (pa.int64(), "number of examples, or of whatever value is computed from"),
        "evaluated_at": (_TIME, "when it was evaluated"),
        "command": (pa.string(), "the command line"),
    }
)
"""A data file of `evaluations`: the newest findings of one evaluation."""

PROBABILITY_COLUMNS = ("dataset", "split")

PROBABILITIES = commented(
    {
        "example_id": (pa.int64(), "the id that protoscore gave the example"),
        "label": (pa.int32(), "class index; null where unknown"),
        "models": (pa.int32(), "that did not see the example; null for the reason in status"),
        "wrong": (pa.float64(), "probability that the label is wrong; null if not judged"),
        "suggested": (pa.int32(), "class index that fits best; null if not judged"),
        "status": (pa.string(), "why there are no probabilities; null where there are"),
        "classes": (pa.list_(pa.int32()), "all, or the ten likeliest and the label; ascending"),
        "probabilities": (pa.list_(pa.float32()), "of those classes, rounded to float16"),
        "dataset_version": (pa.string(), "the version of the split that the row belongs to"),
    }
)
"""A data file of `probabilities`: a row for each example, in the order of the shards."""

ISSUE_COLUMNS = ("dataset", "split")

ISSUES = commented(
    {
        "example_id": (pa.int64(), "the id that protoscore gave the example"),
        "name": (pa.string(), "the user's own id, or the file name"),
        "label": (pa.int32(), "class index, as the models were given it"),
        "suggested": (pa.int32(), "class index that fits best"),
        "wrong": (pa.float64(), "probability that the label is wrong"),
        "kind": (pa.string(), "wrong label, ambiguous, rare but right, or out of place"),
        "rank": (pa.int64(), "0 = first to look at"),
        "label_probability": (pa.float64(), "out-of-bag probability of the label"),
        "suggested_probability": (pa.float64(), "out-of-bag probability of the suggested class"),
        "models": (pa.int32(), "that did not see the example"),
        "fleet_aum": (pa.float64(), "margin of the label over models and epochs; null if unknown"),
        "memorisation": (pa.float64(), "of the label; null if unknown"),
        "dataset_version": (pa.string(), "the version of the split that the row belongs to"),
    }
)
"""A data file of `issues`: a row for each example whose label a person should look at, by rank."""

VERDICT_COLUMNS = ("dataset", "split")

VERDICTS = commented(
    {
        "example_id": (pa.int64(), "the id that protoscore gave the example"),
        "example": (pa.string(), "hash of the image or text that was checked"),
        "name": (pa.string(), "the user's own id, or the file name"),
        "label": (pa.int32(), "class index when it was checked"),
        "decision": (pa.string(), "keep, relabel, ambiguous, exclude or skip"),
        "decided_label": (pa.int32(), "class index to relabel to; else null"),
        "wrong": (pa.float64(), "probability that the label is wrong, when it was drawn"),
        "stratum": (pa.int32(), "that it was drawn from; 0 = labels least probably wrong"),
        "queue": (pa.string(), "the design that it was drawn for"),
        "reviewer": (pa.string(), "who decided"),
        "decided_at": (_TIME, "when"),
        "dataset_version": (pa.string(), "the version of the split when it was drawn"),
    }
)
"""A data file of `verdicts`: what reviewers decided, sorted by (queue, example_id, reviewer)."""

EXAMPLE_SET_COLUMNS = ("dataset", "split")

EXAMPLE_SETS = commented(
    {
        "example_id": (pa.int64(), "the id that protoscore gave the example"),
        "name": (pa.string(), "the user's own id, or the file name"),
        "label": (pa.int32(), "class index"),
        "given_label": (pa.int32(), "the source's, where a correction changed it; else null"),
        "set": (
            pa.string(),
            "memorized_exceptions, uncommon_submodes or canonical_prototypes",
        ),
        "boundary": (pa.float64(), "class percentile by distance; decides the set"),
        "ensemble": (pa.float64(), "class percentile by the ensemble; decides the set"),
        "priv": (pa.float64(), "class percentile by priv; decides the set"),
        "cluster": (pa.int32(), "in its set and class; -1 = noise; null: not clustered"),
        "x": (pa.float64(), "place on the map of its set and class; null: not mapped"),
        "y": (pa.float64(), "place on the map of its set and class; null: not mapped"),
        "evaluated_at": (_TIME, "when it was evaluated"),
        "command": (pa.string(), "the command line"),
    }
)
"""A data file of `example_sets`: a row for each example in a set, sorted by (set, label, id)."""

REPRESENTER_COLUMNS = ("dataset", "split", "run")

REPRESENTERS = commented(
    {
        "test_id": (pa.int64(), "the example explained"),
        "label": (pa.int32(), "its class; null where unknown"),
        "predicted": (pa.int32(), "the strongest output of the layer as it was trained"),
        "class": (pa.int32(), "the output explained"),
        "sign": (pa.int32(), "1 excitatory, -1 inhibitory"),
        "rank": (pa.int32(), "by size of value: 0 = strongest of its sign"),
        "train_id": (pa.int64(), "the training example that explains"),
        "train_label": (pa.int32(), "class of the training example"),
        "alpha": (pa.float64(), "of the training example for the class"),
        "similarity": (pa.float64(), "f_i . f_t, of the features of both examples"),
        "value": (pa.float64(), "alpha x similarity: its share of the output"),
    }
)
"""A data file of `representers`; rows sorted by (test_id, class, sign descending, rank)."""

REPRESENTER_MODEL_COLUMNS = ("dataset", "run")

REPRESENTER_MODELS = commented(
    {
        "base_run": (pa.string(), "the run with the layer"),
        "layer": (pa.string(), "its name in the net"),
        "penalty": (pa.float64(), "lambda, of the squared weights"),
        "targets": (pa.string(), "teacher or labels"),
        "rows": (pa.int64(), "training examples"),
        "gradient_norm": (pa.float64(), "largest absolute derivative at rest"),
        "residual_train": (pa.float64(), "largest error of a sum of parts, training rows"),
        "residual_test": (pa.float64(), "largest error of a sum of parts, test rows"),
        "pearson_train": (pa.float64(), "of activations summed from parts with the targets"),
        "pearson_test": (pa.float64(), "of activations summed from parts with the targets"),
        "train_version": (pa.string(), "dataset version of the train split"),
        "test_version": (pa.string(), "dataset version of the test split"),
        "seconds": (pa.float64(), "that solving took"),
        "solved_at": (_TIME, "when it was solved"),
    }
)
"""A data file of `representer_models`: one row, for one run."""

DATA_SCHEMAS = {
    "scores": SCORES,
    "nights": NIGHTS,
    "runs": RUNS,
    "evaluations": EVALUATIONS,
    "probabilities": PROBABILITIES,
    "issues": ISSUES,
    "verdicts": VERDICTS,
    "example_sets": EXAMPLE_SETS,
    "representers": REPRESENTERS,
    "representer_models": REPRESENTER_MODELS,
}
"""Columns of the data files of each table."""
