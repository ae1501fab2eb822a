"""A store whose labels are corrected, and its source."""

from pathlib import Path
from typing import Any

from digit_files import digit_images

from ray_jobs.cli import main
from scoring.store.layout import corrections_folder
from scoring.store.storage import Storage
from scoring.tables import Store

METRICS = ("msp", "aum")
TRAINED, TESTED, SHARD = 150, 50, 50
_, LABELS = digit_images(slice(0, TRAINED))
OTHER = {i: (label + 1) % 10 for i, label in enumerate(LABELS)}
"""Training row to a wrong class."""


class Site:
    """A store, its source, and commands on both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = str(folder / "store")
        self.train, self.test = folder / "train.parquet", folder / "test.parquet"

    @property
    def storage(self) -> Storage:
        return Storage(self.uri)

    def night(self, command: str, *flags: str) -> int:
        data = ("--dataset", "parquet", "--name", "mine", "--id-column", "file")
        files = ("--train", str(self.train), "--test", str(self.test), "--shard-rows", str(SHARD))
        how = ("--recipe", "smoke", "--batch-rows", "50", "--metrics", *METRICS)
        return main([command, "--store", self.uri, *data, *files, *how, *flags])

    def rescore(self, *flags: str) -> int:
        return self.night("rescore", *flags)

    def correct(self, *lines: str, header: str = "id,split,label") -> str:
        """Write a file of corrections and return its path."""
        file = self.folder / "fixes.csv"
        file.write_text("\n".join([header, *lines]) + "\n")
        return str(file)

    def rows(self, split: str = "train", metric: str = "aum", at: Any = None) -> dict[int, dict]:
        table = Store(self.uri).scores(split=split, metric=metric, at=at)
        return {row["example_id"]: row for row in table.to_pylist()}

    def nights(self) -> list[dict[str, Any]]:
        return Store(self.uri).nights().to_pylist()

    def files(self) -> dict[str, int]:
        """Every file of the store but the records of jobs, with the time it was written."""
        return {
            str(path.relative_to(self.uri)): path.stat().st_mtime_ns
            for path in Path(self.uri).rglob("*")
            if path.is_file() and path.parent.name != "jobs"
        }

    def records(self) -> list[str]:
        return sorted(self.storage.names(corrections_folder("mine")))
