"""Columns of the published tables.

`scores` is partitioned by dataset, split and metric: these columns are in the table's log, not in
its data files. `nights` and `runs` only grow, by one night at a time. `evaluations` is partitioned
by dataset and evaluation, `probabilities` and `example_sets` by dataset and split, `representers`
by dataset, split and run, `representer_models` by dataset and run.
"""

from dataclasses import dataclass

import pyarrow as pa

from scoring.store.keys import Split

_TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class ExampleColumn:
    """A column that holds example ids: a row leaves the table when its example is forgotten."""

    name: str
    split: Split | None = None
    """Split of the examples; None: that of the row's partition."""


PARTITION_COLUMNS = ("dataset", "split", "metric")
SCORES_EXAMPLES = (ExampleColumn("example_id"),)

SCORES = pa.schema(
    {
        "example_id": pa.int64(),
        "name": pa.string(),  # the user's own id, or the file name
        "label": pa.int32(),  # null where unknown
        "predicted": pa.int32(),
        "value": pa.float64(),  # in the metric's unit; null for the reason in `status`
        "spread": pa.float64(),  # standard deviation over runs, if there are several
        "status": pa.string(),  # null where there is a value
        "rank": pa.int64(),  # 0 = most outlying; null if not ranked
        "percentile": pa.float64(),  # 0 = most outlying, 100 = most prototypical
        "class_percentile": pa.float64(),
        "class_z": pa.float64(),  # standard deviations from the class's mean, not oriented
        "scored_at": _TIME,
        "dataset_version": pa.string(),
        "score_key": pa.string(),  # the staged shard with the value
    }
)
"""A data file of `scores`; rows sorted by (label, rank), nulls last."""

SCORES_TABLE = pa.schema([*(pa.field(c, pa.string()) for c in PARTITION_COLUMNS), *SCORES])
"""`scores` as readers see it."""

NIGHTS = pa.schema(
    {
        "night_id": pa.string(),
        "date": pa.date32(),  # the day it is for
        "dataset": pa.string(),
        "started_at": _TIME,
        "finished_at": _TIME,
        "command": pa.string(),
        "train_version": pa.string(),
        "test_version": pa.string(),
        "metrics": pa.list_(pa.string()),
        "runs_trained": pa.int64(),
        "runs_reused": pa.int64(),
        "shards_scored": pa.int64(),  # (metric, shard) pairs
        "shards_reused": pa.int64(),
        "rows": pa.int64(),  # published, over all partitions
        "commit_version": pa.int64(),  # of `scores`
        "seconds": pa.float64(),
    }
)
"""`nights`: one row per published night."""

RUNS = pa.schema(
    {
        "night_id": pa.string(),
        "run_key": pa.string(),
        "kind": pa.string(),
        "split": pa.string(),
        "net": pa.string(),
        "width": pa.float64(),
        "recipe": pa.string(),  # JSON
        "seed": pa.int64(),
        "subset": pa.float64(),  # fraction of the split it trained on
        "epsilon_target": pa.float64(),
        "epsilon_spent": pa.float64(),
        "delta": pa.float64(),
        "train_accuracy": pa.float64(),
        "test_accuracy": pa.float64(),
        "rows": pa.int64(),
        "epochs": pa.int64(),
        "seconds": pa.float64(),
        "host": pa.string(),
        "device": pa.string(),
        "trained_at": _TIME,
        "reused": pa.bool_(),  # trained on an earlier night
    }
)
"""`runs`: every run behind a night's scores."""

EVALUATION_COLUMNS = ("dataset", "evaluation")

EVALUATIONS = pa.schema(
    {
        "subject": pa.string(),  # a metric, or something to compare it with
        "part": pa.string(),  # a tenth, a corruption, a pair of seeds; "" if there is only one
        "measure": pa.string(),  # what was measured
        "value": pa.float64(),  # null where undefined
        "spread": pa.float64(),  # standard deviation, if `value` is a mean
        "rows": pa.int64(),  # number of examples, or of whatever `value` is computed from
        "evaluated_at": _TIME,
        "command": pa.string(),
    }
)
"""A data file of `evaluations`: the newest findings of one evaluation."""

PROBABILITY_COLUMNS = ("dataset", "split")

PROBABILITIES = pa.schema(
    {
        "example_id": pa.int64(),
        "label": pa.int32(),  # null where unknown
        "models": pa.int32(),  # that did not see the example; null for the reason in `status`
        "status": pa.string(),  # null where there are probabilities
        "classes": pa.list_(pa.int32()),  # all, or the ten likeliest and the label; ascending
        "probabilities": pa.list_(pa.float32()),  # of those classes, rounded to float16
        "dataset_version": pa.string(),
    }
)
"""A data file of `probabilities`: a row for each example, in the order of the shards."""

EXAMPLE_SET_COLUMNS = ("dataset", "split")

EXAMPLE_SETS = pa.schema(
    {
        "example_id": pa.int64(),
        "name": pa.string(),  # the user's own id, or the file name
        "label": pa.int32(),
        "set": pa.string(),  # memorized_exceptions, uncommon_submodes or canonical_prototypes
        "boundary": pa.float64(),  # class percentiles that decide the set
        "ensemble": pa.float64(),
        "priv": pa.float64(),
        "cluster": pa.int32(),  # within its set and class; -1 = noise; null: not clustered
        "x": pa.float64(),  # place on the map of its set and class; null: not mapped
        "y": pa.float64(),
        "evaluated_at": _TIME,
        "command": pa.string(),
    }
)
"""A data file of `example_sets`: a row for each example in a set, sorted by (set, label, id)."""

REPRESENTER_COLUMNS = ("dataset", "split", "run")

REPRESENTERS = pa.schema(
    {
        "test_id": pa.int64(),  # the example explained
        "label": pa.int32(),  # its class; null where unknown
        "predicted": pa.int32(),  # the strongest output of the layer as it was trained
        "class": pa.int32(),  # the output explained
        "sign": pa.int32(),  # 1 excitatory, -1 inhibitory
        "rank": pa.int32(),  # 0 = strongest of its sign
        "train_id": pa.int64(),
        "train_label": pa.int32(),
        "alpha": pa.float64(),  # of the training example for the class
        "similarity": pa.float64(),  # f_i . f_t
        "value": pa.float64(),  # alpha x similarity: its share of the output
    }
)
"""A data file of `representers`; rows sorted by (test_id, class, sign descending, rank)."""

REPRESENTER_MODEL_COLUMNS = ("dataset", "run")

REPRESENTER_MODELS = pa.schema(
    {
        "base_run": pa.string(),  # the run with the layer
        "layer": pa.string(),
        "penalty": pa.float64(),  # lambda
        "targets": pa.string(),  # teacher or labels
        "rows": pa.int64(),  # training examples
        "gradient_norm": pa.float64(),  # largest absolute derivative at rest
        "residual_train": pa.float64(),  # largest error of an output summed from its parts
        "residual_test": pa.float64(),
        "pearson_train": pa.float64(),  # of activations summed from parts with the targets
        "pearson_test": pa.float64(),
        "train_version": pa.string(),
        "test_version": pa.string(),
        "seconds": pa.float64(),
        "solved_at": _TIME,
    }
)
"""A data file of `representer_models`: one row, for one run."""

DATA_SCHEMAS = {
    "scores": SCORES,
    "nights": NIGHTS,
    "runs": RUNS,
    "evaluations": EVALUATIONS,
    "example_sets": EXAMPLE_SETS,
    "representers": REPRESENTERS,
    "representer_models": REPRESENTER_MODELS,
}
"""Columns of the data files of each table."""
