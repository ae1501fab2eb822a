import pytest

from scoring.store import file_kinds, layout


@pytest.mark.parametrize("dataset", ["mine", "shards", "receipts", "layouts", "corrections"])
def test_files_of_a_dataset_are_told_apart_whatever_its_name(dataset):
    kinds = {
        layout.version_path(dataset, "train", "v"): file_kinds.is_version,
        layout.shard_path(dataset, "c"): file_kinds.is_shard,
        layout.receipt_path(dataset, "r"): file_kinds.is_receipt,
        layout.corrections_path(dataset, "j"): file_kinds.is_correction,
        layout.layout_path(dataset, "s"): None,
    }
    for path, kind in kinds.items():
        tests = (
            file_kinds.is_version,
            file_kinds.is_shard,
            file_kinds.is_receipt,
            file_kinds.is_correction,
        )
        assert [test for test in tests if test(path)] == ([kind] if kind else [])
        assert file_kinds.dataset_of(path) == dataset


def test_unfinished_files_are_neither_versions_nor_receipts():
    assert not file_kinds.is_version("datasets/mine/train/.v.json.12ab.partial")
    assert not file_kinds.is_receipt("datasets/mine/receipts/.r.json.12ab.partial")


def test_corrections_are_ours_and_written_twice():
    path = layout.corrections_path("mine", "20260331T060000Z-0123abcd")
    for each in (path, layout.copy_path(path)):
        assert file_kinds.is_ours(each)
        assert file_kinds.is_twice(each)
    assert not file_kinds.is_ours(layout.corrections_path("mine", "notes"))


def test_files_name_their_run():
    paths = (layout.run_path, lambda r: layout.logits_path(r, "c"))
    assert {file_kinds.run_of(path("r")) for path in paths} == {"r"}
    assert file_kinds.run_of(layout.features_path("r", "last", "c")) == "r"
    assert file_kinds.is_training(layout.training_path("r"))
    assert not file_kinds.is_training(layout.model_path("r"))
    assert file_kinds.is_tally(layout.tally_path("r"))
    assert not file_kinds.is_tally(layout.training_path("r"))


def test_files_of_a_run_are_ours():
    run = "0" * 32
    paths = (layout.run_path, layout.model_path, layout.training_path, layout.tally_path)
    assert all(file_kinds.is_ours(path(run)) for path in paths)
    assert not file_kinds.is_ours(layout.tally_path("r"))
    assert not file_kinds.is_ours(layout.tally_path(run).replace("epochs", "epoch"))
