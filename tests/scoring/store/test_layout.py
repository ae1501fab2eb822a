import pytest

from scoring.store import layout

DATA_FILE = "dataset=digits/split=test/metric=conf/5645bbe0-89617f96.parquet"
PATHS = {
    layout.version_path("mine", "train", "v"): "datasets/mine/train/v.json",
    layout.shard_path("mine", "c"): "datasets/mine/shards/c.parquet",
    layout.receipt_path("mine", "r"): "datasets/mine/receipts/r.json",
    layout.layout_path("mine", "s"): "datasets/mine/layouts/s.json",
    layout.corrections_path("mine", "j"): "datasets/mine/corrections/j.json",
    layout.import_path("w"): "imports/w.safetensors",
    layout.run_path("r"): "runs/r/run.json",
    layout.model_path("r"): "runs/r/model.safetensors",
    layout.epoch_path("r", 3): "runs/r/checkpoints/epoch-0003.safetensors",
    layout.training_path("r"): "runs/r/training.safetensors",
    layout.tally_path("r"): "runs/r/epochs.parquet",
    layout.layer_path("r"): "runs/r/layer.safetensors",
    layout.evidence_path("r"): "runs/r/layer.json",
    layout.logits_path("r", "c"): "outputs/r/c.parquet",
    layout.features_path("r", "last", "c"): "features/r/last/c.parquet",
    layout.staged_path("conf", "k"): "staging/conf/k.parquet",
    layout.explanations_path("r", "k"): "explanations/r/k.parquet",
    layout.table_path("scores"): "tables/scores",
    layout.table_path("scores", DATA_FILE): f"tables/scores/{DATA_FILE}",
    layout.log_folder("scores"): "tables/scores/_delta_log",
    layout.manifest_path(DATA_FILE): "tables/manifests/5645bbe0-89617f96.json",
    layout.night_path("n"): "nights/n.json",
    layout.job_path("j"): "jobs/j.json",
    layout.study_path("s"): "studies/s.json",
    layout.review_path("q"): "reviews/q.json",
}


@pytest.mark.parametrize(("path", "expected"), PATHS.items())
def test_paths_stay_those_of_earlier_stores(path, expected):
    assert path == expected
