"""Whole nights on small slices of what users bring: folders, colour, their own nets and runs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from digit_files import digit_images
from safetensors.torch import save_file

from scoring.nets import build
from scoring.run_spec import NetSpec
from scoring.tables import Store

pytestmark = pytest.mark.slow
Rescore = Callable[..., int]


def write_folder(root: Path, split: str, rows: slice, broken: int) -> None:
    images, labels = digit_images(rows)
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = root / split / f"digit {label}"
        folder.mkdir(parents=True, exist_ok=True)
        content = b"not a PNG" if row == broken else image
        (folder / f"{rows.start + row:04d}.png").write_bytes(content)


def test_an_image_folder_with_a_broken_image_in_each_split(
    rescore: Rescore, tmp_path: Path
) -> None:
    root = tmp_path / "folder"
    write_folder(root, "train", slice(0, 120), broken=7)
    write_folder(root, "test", slice(1000, 1060), broken=2)
    flags = ("--dataset", "image_folder", "--data-root", str(root), "--metrics", "conf", "adv_linf")
    assert rescore(*flags) == 0
    store = Store(str(tmp_path / "store"))
    for split, rows in (("train", 120), ("test", 60)):
        for metric in ("conf", "adv_linf"):
            table = store.scores(dataset="folder", split=split, metric=metric).to_pandas()
            assert sorted(table["example_id"]) == list(range(rows))
            assert table["name"].str.startswith("digit ").all()
            bad = table[table["status"] == "undecodable_image"]
            assert len(bad) == 1
            assert bad[["value", "rank", "percentile", "predicted", "spread"]].isna().all(None)
            assert table["rank"].max() == rows - 2
    nine = store.outliers("conf", split="test", label="digit 9", n=3)
    assert nine["label"].to_pylist() == [9, 9, 9]
    base = store.sql("select rows from runs where kind = 'plain' and seed = 0")
    assert base["rows"].to_pylist() == [119]  # the broken one is left out of training


def test_colour_images_with_resnetv2(rescore: Rescore, tmp_path: Path, data_root: Path) -> None:
    flags = ("--dataset", "parquet", "--name", "cifar10", "--id-column", "file")
    flags += ("--train", str(data_root / "cifar10_train.parquet"))
    flags += ("--test", str(data_root / "cifar10_test.parquet"))
    flags += ("--limit-train", "64", "--limit-test", "32", "--net", "resnetv2")
    assert rescore(*flags, "--metrics", "adv_linf", "--batch-rows", "32") == 0
    store = Store(str(tmp_path / "store"))
    table = store.scores(split="train").to_pandas()
    assert sorted(table["example_id"]) == list(range(64))
    assert table["name"].str.endswith(".png").all()
    assert table["value"].notna().all()


def test_a_private_fleet_for_a_users_net_with_batchnorm(
    rescore: Rescore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--limit-train", "100", "--limit-test", "50", "--net", "own_nets:with_batch_norm")
    assert rescore(*flags, "--metrics", "priv") == 0
    assert "has BatchNorm, which mixes examples; private runs use its GroupNorm" in (
        capsys.readouterr().err
    )
    private = Store(str(tmp_path / "store")).sql("select * from runs where kind = 'private'")
    assert len(private) == 8
    for spent, target in zip(private["epsilon_spent"], private["epsilon_target"], strict=True):
        assert 0 < spent.as_py() <= target.as_py()


def test_a_torchvision_net_by_name(rescore: Rescore, tmp_path: Path) -> None:
    flags = ("--limit-train", "20", "--limit-test", "10", "--net", "mobilenet_v3_small")
    assert rescore(*flags, "--metrics", "adv_linf", "--batch-rows", "10") == 0
    store = Store(str(tmp_path / "store"))
    assert set(store.runs()["net"].to_pylist()) == {"mobilenet_v3_small"}


def test_a_net_that_images_are_too_small_for_is_refused_at_once(
    rescore: Rescore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rescore("--net", "squeezenet1_1", "--metrics", "adv_linf") == 2
    error = capsys.readouterr().err
    assert "--net squeezenet1_1: expected a net that maps 8x8x1 images to 10 logits" in error
    assert not (tmp_path / "store" / "runs").exists()


def test_runs_made_elsewhere(rescore: Rescore, tmp_path: Path) -> None:
    files = []
    for seed in range(3):
        torch.manual_seed(seed)
        net = build(NetSpec(name="mlp"), shape=(8, 8, 1), classes=10).net
        files.append(f"mlp-{seed}.{'pt' if seed else 'safetensors'}")
        if seed:
            torch.save(net.state_dict(), tmp_path / files[-1])
        else:
            save_file(net.state_dict(), tmp_path / files[-1])
    runs = [{"weights": f, "net": "mlp", "role": "ensemble"} for f in files]
    runs.append({"weights": files[0], "net": "mlp", "role": "base"})
    (tmp_path / "runs.json").write_text(json.dumps({"runs": runs}))
    flags = ("--limit-train", "60", "--limit-test", "30", "--metrics", "conf", "adv_steps")
    assert rescore(*flags, "--import-runs", str(tmp_path / "runs.json")) == 0
    store = Store(str(tmp_path / "store"))
    assert set(store.runs()["kind"].to_pylist()) == {"imported"}
    # Untrained nets are close to uniform: what was scored is what was imported.
    conf = np.array(store.scores(metric="conf", split="test")["value"].to_pylist())
    assert conf.max() < 0.5


def test_carlini_wagner_as_the_attack(rescore: Rescore, tmp_path: Path) -> None:
    flags = ("--limit-train", "40", "--limit-test", "20", "--metrics", "adv_l2")
    assert rescore(*flags, "--adv-l2.attack", "carlini_wagner", "--adv-l2.steps", "50") == 0
    table = Store(str(tmp_path / "store")).scores(split="test")
    # Fifty steps a round are few: what it misses must say so, and it must find most.
    missed = [value is None for value in table["value"].to_pylist()]
    assert [reason == "no_adversarial_found" for reason in table["status"].to_pylist()] == missed
    assert sum(missed) <= 5
    made = json.loads(next((tmp_path / "store" / "tables" / "manifests").iterdir()).read_text())
    assert made["settings"]["adv-l2.attack"] == "carlini_wagner"


def test_runs_that_cannot_be_trained_cost_their_own_metrics(
    rescore: Rescore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--limit-train", "50", "--limit-test", "20", "--net", "own_nets:not_private")
    assert rescore(*flags, "--metrics", "adv_linf", "priv") == 3
    printed = capsys.readouterr()
    assert "8 failed after retries (private train own_nets:not_private" in printed.err
    assert "not published: priv" in printed.err
    assert "Traceback" not in printed.err
    published = Store(str(tmp_path / "store")).sql("select distinct metric from scores")
    assert published["metric"].to_pylist() == ["adv_linf"]
