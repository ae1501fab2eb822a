"""What the page shows, pinned to one version of the tables, so that its parts agree."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scoring.analysis.scores import Row, Scores, read_scores
from scoring.data.versions import DatasetVersion, load_version
from scoring.errors import BadStore, UnknownName, UserError
from scoring.store.keys import SPLITS, Split
from scoring.store.layout import DATASETS, evidence_path, version_path
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.findings import PLANE, Finding, finding_of
from scoring.tables.history import At, open_scores
from scoring.tables.manifest import Manifest
from scoring.tables.publish import published


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One dataset's published scores at one version of the table."""

    storage: Storage
    dataset: str
    version: int
    """Of `scores`."""
    manifests: Mapping[tuple[Split, str], Manifest]
    """(split, metric) to what its partition was made of."""
    data: Mapping[tuple[Split, str], DatasetVersion]
    """(split, dataset version) to its shards, for every version that a partition names."""

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits with published scores, train first."""
        return tuple(s for s in SPLITS if any(s == split for split, _ in self.manifests))

    @property
    def newest(self) -> Manifest:
        """The partition that was planned last."""
        return max(self.manifests.values(), key=lambda manifest: manifest.planned)

    def current(self, split: Split) -> DatasetVersion:
        """The dataset version that a split's newest partition was made of."""
        of_split = [m for (s, _), m in self.manifests.items() if s == split]
        newest = max(of_split, key=lambda manifest: manifest.planned)
        return self.data[split, newest.dataset_version]

    def scores(self, split: Split, metric: str) -> Scores:
        """One partition."""
        return read_scores(Store(self.storage.uri), self.dataset, split, metric, self.version)

    def runs(self) -> list[Row]:
        """Rows of `runs` for every run of the nights that published the scores, each run once.

        A run that several nights used is as the last of them saw it.
        """
        nights = sorted({manifest.night_id for manifest in self.manifests.values()})
        return self._sql(
            f"select * from runs where night_id in ({', '.join(map(_quoted, nights))}) "
            "qualify row_number() over (partition by run_key order by night_id desc) = 1"
        )

    def nights(self, last: int) -> list[Row]:
        """The dataset's `last` rows of `nights`, newest first."""
        return self._sql(
            f"select * from nights where dataset = {_quoted(self.dataset)} "
            f"order by started_at desc limit {last:d}"
        )

    def evaluations(self) -> dict[str, list[Finding]]:
        """What evaluations of the dataset, and in the plane, found, as the tables say now."""
        found: dict[str, list[Finding]] = {}
        for dataset in dict.fromkeys((self.dataset, PLANE)):
            for row in Store(self.storage.uri).evaluations(dataset).to_pylist():
                found.setdefault(row["evaluation"], []).append(finding_of(row))
        return dict(sorted(found.items()))

    def example_sets(self, split: Split) -> Any:  # noqa: ANN401 - Arrow ships no types
        """Rows of `example_sets`, as the table says now."""
        return Store(self.storage.uri).example_sets(self.dataset, split)

    def explanations(self, split: Split, strongest: int) -> Any:  # noqa: ANN401 - Arrow ships no types
        """Rows of `representers`, as the table says now, with their layer and train_version.

        Of several runs that explain an example, the one that came to rest last speaks; of each sign
        and output, its `strongest` points.
        """
        return Store(self.storage.uri).sql(
            "select representers.*, layer, train_version "
            "from representers join representer_models using (dataset, run) "
            f"where dataset = {_quoted(self.dataset)} and split = {_quoted(split)} "
            f"and rank < {strongest:d} "
            "qualify dense_rank() over (partition by test_id order by solved_at desc, run) = 1 "
            'order by test_id, "class", sign desc, rank',
            at=self.version,
        )

    def gives_classes(self, run: str) -> bool:
        """Whether the outputs that a representer run explains are classes.

        They are units where a layer before the last is explained, or nothing is left of the run.
        """
        path = evidence_path(run)
        return self.storage.exists(path) and bool(json.loads(self.storage.read(path))["is_last"])

    def _sql(self, query: str) -> list[Row]:
        return list(Store(self.storage.uri).sql(query, at=self.version).to_pylist())


def take_snapshot(uri: str, dataset: str | None = None, at: At = None) -> Snapshot:
    """Pin a version of a store's scores, and find the dataset versions they belong to.

    Args:
        uri: the store.
        dataset: may be None where only one is published.
        at: a version of `scores` or a time; None: now.

    Raises:
        UserError: no such dataset, version or time; the message lists the datasets there are.
        BadStore: nothing is published, or the store cannot be read.
    """
    storage = Storage(uri)
    version = open_scores(storage, at).version()
    partitions = published(storage, version)
    name = _choose(dataset, sorted({p.dataset for p in partitions}), at)
    manifests = {
        (split, partition.metric): manifest
        for partition, manifest in partitions.items()
        for split in SPLITS
        if (partition.dataset, partition.split) == (name, split)
    }
    versions = {(split, m.dataset_version) for (split, _), m in manifests.items()}
    return Snapshot(
        storage=storage,
        dataset=name,
        version=version,
        manifests=manifests,
        data={(s, version): _find_version(storage, name, s, version) for s, version in versions},
    )


def _choose(dataset: str | None, known: Sequence[str], at: At) -> str:
    if not known:
        raise UserError(f"--at: expected a version with published scores, got {at}")
    if dataset is None and len(known) > 1:
        raise UserError(f"--dataset: expected one of {', '.join(known)}, got none")
    if dataset is not None and dataset not in known:
        raise UnknownName("--dataset", dataset, known)
    return dataset or known[0]


def _find_version(storage: Storage, name: str, split: Split, version: str) -> DatasetVersion:
    """Read a dataset version; scores published under another name keep their images' folder."""
    folders = [name, *sorted(storage.names(DATASETS) - {name})]
    for folder in folders:
        if storage.exists(version_path(folder, split, version)):
            return load_version(storage, folder, split, version)
    raise BadStore(
        f"--store: expected the images of {name}, got no datasets/*/{split}/{version}.json in "
        f"{storage.uri}"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
