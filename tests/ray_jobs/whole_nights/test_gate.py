"""`protoscore check` over thirty nights of real data, each with a new shard."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from digit_files import png

from ray_jobs.cli import main
from scoring.data.named import LOADERS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
Rescore = Callable[..., int]
NIGHTS, ROWS = 30, 400
TRAINED, TEST = 2000, 1000
SPOILT_EVERY = 6
FLIPPED = 0.05
METRICS = ("aum", "confidence_mean", "el2n", "msp", "variability")


@pytest.mark.parametrize("dataset", ["fashion_mnist", "mnist"])
def test_a_shard_with_wrong_labels_trips_that_night_and_clean_ones_hardly_ever(
    dataset: str,
    rescore: Rescore,
    data_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train, test = (LOADERS[dataset](data_root, split) for split in ("train", "test"))
    order = np.random.default_rng(0).permutation(len(train.labels))  # files of one population
    images, labels = train.images[order], train.labels[order]

    def write(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        files = [png(image.squeeze()) for image in images]
        names = [f"{path.stem}-{i}" for i in range(len(files))]
        pq.write_table(pa.table({"image": files, "label": labels.tolist(), "file": names}), path)

    def verdicts(root: Path) -> list[str]:
        """Score what is new under a folder and return what failed."""
        flags = ("--dataset", "parquet", "--train", str(root / "train"))
        flags += ("--test", str(root / "test"), "--name", "mine", "--id-column", "file")
        flags += ("--recipe", "quick", "--batch-rows", "400", "--metrics", *METRICS)
        assert rescore(*flags, store=root / "store") == 0
        capsys.readouterr()
        code = main(["check", "--store", str(root / "store"), "--format", "json"])
        rows = json.loads(capsys.readouterr().out)
        failed = [row["expectation"] for row in rows if row["verdict"] == "failed"]
        assert code == bool(failed)
        return failed

    root = tmp_path / "clean"
    write(root / "test" / "a.parquet", test.images[:TEST], test.labels[:TEST])
    write(root / "train" / "000.parquet", images[:TRAINED], labels[:TRAINED])
    assert verdicts(root) == []
    alarms, missed = [], []
    for night in range(1, NIGHTS + 1):
        start = TRAINED + night * ROWS
        rows = slice(start, start + ROWS)
        if night % SPOILT_EVERY == 1:
            spoilt = tmp_path / f"spoilt-{night}"
            shutil.copytree(root, spoilt)
            random = np.random.default_rng(night)
            wrong = labels[rows].copy()
            chosen = random.permutation(ROWS)[: round(FLIPPED * ROWS)]
            wrong[chosen] = (wrong[chosen] + random.integers(1, 10, len(chosen))) % 10
            write(spoilt / "train" / f"{night:03d}.parquet", images[rows], wrong)
            if "shard_drift" not in verdicts(spoilt):
                missed.append(night)
        write(root / "train" / f"{night:03d}.parquet", images[rows], labels[rows])
        if failed := verdicts(root):
            alarms.append((night, failed))
    assert len(alarms) <= 1, alarms
    assert not missed
