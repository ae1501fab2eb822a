import pytest

from scoring.store import layout

DATA_FILE = "dataset=digits/split=test/metric=conf/5645bbe0-89617f96.parquet"
PATHS = {
    layout.version_path("mine", "train", "v"): "datasets/mine/train/v.json",
    layout.shard_path("mine", "c"): "datasets/mine/shards/c.parquet",
    layout.receipt_path("mine", "r"): "datasets/mine/receipts/r.json",
    layout.layout_path("mine", "s"): "datasets/mine/layouts/s.json",
    layout.import_path("w"): "imports/w.safetensors",
    layout.run_path("r"): "runs/r/run.json",
    layout.model_path("r"): "runs/r/model.safetensors",
    layout.epoch_path("r", 3): "runs/r/checkpoints/epoch-0003.safetensors",
    layout.training_path("r"): "runs/r/training.safetensors",
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
}


@pytest.mark.parametrize(("path", "expected"), PATHS.items())
def test_paths_stay_those_of_earlier_stores(path, expected):
    assert path == expected


@pytest.mark.parametrize("dataset", ["mine", "shards", "receipts", "layouts"])
def test_files_of_a_dataset_are_told_apart_whatever_its_name(dataset):
    kinds = {
        layout.version_path(dataset, "train", "v"): layout.is_version,
        layout.shard_path(dataset, "c"): layout.is_shard,
        layout.receipt_path(dataset, "r"): layout.is_receipt,
        layout.layout_path(dataset, "s"): None,
    }
    for path, kind in kinds.items():
        tests = (layout.is_version, layout.is_shard, layout.is_receipt)
        assert [test for test in tests if test(path)] == ([kind] if kind else [])
        assert layout.dataset_of(path) == dataset


def test_unfinished_files_are_neither_versions_nor_receipts():
    assert not layout.is_version("datasets/mine/train/.v.json.12ab.partial")
    assert not layout.is_receipt("datasets/mine/receipts/.r.json.12ab.partial")


def test_files_name_their_run():
    paths = (layout.run_path, lambda r: layout.logits_path(r, "c"))
    assert {layout.run_of(path("r")) for path in paths} == {"r"}
    assert layout.run_of(layout.features_path("r", "last", "c")) == "r"
    assert layout.is_training(layout.training_path("r"))
    assert not layout.is_training(layout.model_path("r"))
