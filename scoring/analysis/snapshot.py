"""Published scores pinned to one version of the tables, so that all parts of a page agree."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from scoring.analysis.score_table import Row, Scores, read_scores
from scoring.analysis.verdict import EVALUATION, Estimate, read_estimates
from scoring.data.versions import DatasetVersion, load_version
from scoring.errors import BadStore, UnknownName, UserError
from scoring.store.keys import SPLITS, Split
from scoring.store.layout import DATASETS, evidence_path
from scoring.store.records import read_record
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.findings import PLANE, Finding, finding_of
from scoring.tables.history import At, open_scores
from scoring.tables.lookup import partitions
from scoring.tables.manifest import Manifest
from scoring.tables.publish import published
from scoring.tables.sql import quoted


@dataclass(frozen=True, kw_only=True)
class _Outputs:
    """What is read of the evidence for a layer at rest."""

    is_last: bool


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One dataset's published scores at one version of the table."""

    storage: Storage
    dataset: str
    version: int
    """Version of the table `scores`."""
    manifests: Mapping[tuple[Split, str], Manifest]
    """(split, metric) to the manifest of its partition."""
    data: Mapping[tuple[Split, str], DatasetVersion]
    """(split, name of a dataset version) to that version, for all that partitions name."""

    @property
    def splits(self) -> tuple[Split, ...]:
        """Splits with published scores, train first."""
        return tuple(s for s in SPLITS if any(s == split for split, _ in self.manifests))

    @property
    def newest(self) -> Manifest:
        """The manifest that was planned last."""
        return max(self.manifests.values(), key=lambda manifest: manifest.planned)

    def current(self, split: Split) -> DatasetVersion:
        """Return the dataset version behind the newest partition of a split."""
        manifests = [m for (s, _), m in self.manifests.items() if s == split]
        newest = max(manifests, key=lambda manifest: manifest.planned)
        return self.data[split, newest.dataset_version]

    def find_version(self, split: Split, name: str) -> DatasetVersion:
        """Return a dataset version by its name; it is read if no partition names it.

        Raises:
            BadStore: it is not in the store.
        """
        known = self.data.get((split, name))
        return known or _find_version(self.storage, self.dataset, split, name)

    def scores(self, split: Split, metric: str, also: Sequence[str] = ()) -> Scores:
        """Read one partition; see `read_scores`."""
        store = Store(self.storage.uri)
        return read_scores(store, self.dataset, split, metric, self.version, also)

    def runs(self) -> list[Row]:
        """Read the row of `runs` of every run in the nights that published the scores.

        A run that several nights used is listed once, as in the last of them.
        """
        nights = sorted({manifest.night_id for manifest in self.manifests.values()})
        return self._sql(
            f"select * from runs where night_id in ({', '.join(map(quoted, nights))}) "
            "qualify row_number() over (partition by run_key order by night_id desc) = 1"
        )

    def nights(self, last: int) -> list[Row]:
        """Read the last rows of `nights` for the dataset, newest first."""
        return self._sql(
            f"select * from nights where dataset = {quoted(self.dataset)} "
            f"order by started_at desc limit {last:d}"
        )

    def evaluations(self) -> dict[str, list[Finding]]:
        """Read the newest findings of each evaluation of the dataset, and of those in the plane."""
        found: dict[str, list[Finding]] = {}
        for dataset in dict.fromkeys((self.dataset, PLANE)):
            for row in Store(self.storage.uri).evaluations(dataset).to_pylist():
                found.setdefault(row["evaluation"], []).append(finding_of(row))
        return dict(sorted(found.items()))

    def estimates(self) -> dict[str, Estimate]:
        """Read how many labels are wrong, by split, as far as the newest night judged them."""
        found = Store(self.storage.uri).evaluations(self.dataset, EVALUATION)
        return read_estimates(found)

    def probabilities(self, split: Split) -> Any:  # noqa: ANN401 - Arrow ships no types
        """Read the newest rows of `probabilities`."""
        return Store(self.storage.uri).probabilities(self.dataset, split)

    def issues(self, split: Split) -> Any:  # noqa: ANN401 - Arrow ships no types
        """Read the newest rows of `issues`, the likeliest mistake first."""
        return Store(self.storage.uri).sql(
            "select example_id, label, suggested, wrong, kind, dataset_version from issues "
            f"where dataset = {quoted(self.dataset)} and split = {quoted(split)} order by rank",
            at=self.version,
        )

    def example_sets(self, split: Split) -> Any:  # noqa: ANN401 - Arrow ships no types
        """Read the newest rows of `example_sets`."""
        return Store(self.storage.uri).example_sets(self.dataset, split)

    def explanations(self, split: Split, strongest: int) -> Any:  # noqa: ANN401 - Arrow ships no types
        """Read the newest rows of `representers`, with their layer and train_version.

        If several runs explain an example, the one solved last is used. For each output and sign
        only the `strongest` points are returned.
        """
        return Store(self.storage.uri).sql(
            "select representers.*, layer, train_version "
            "from representers join representer_models using (dataset, run) "
            f"where dataset = {quoted(self.dataset)} and split = {quoted(split)} "
            f"and rank < {strongest:d} "
            "qualify dense_rank() over (partition by test_id order by solved_at desc, run) = 1 "
            'order by test_id, "class", sign desc, rank',
            at=self.version,
        )

    def gives_classes(self, run: str) -> bool:
        """Return whether the outputs that a representer run explains are classes.

        If not, they are units: the layer is not the last one, or the run was deleted.
        """
        path = evidence_path(run)
        return self.storage.exists(path) and read_record(self.storage, path, _Outputs).is_last

    def _sql(self, query: str) -> list[Row]:
        return list(Store(self.storage.uri).sql(query, at=self.version).to_pylist())


def take_snapshot(uri: str, dataset: str | None = None, at: At = None) -> Snapshot:
    """Pin a version of a store's scores, and load the dataset versions behind them.

    Args:
        uri: the store.
        dataset: may be None if only one is published.
        at: a version of `scores` or a time; None: the newest.

    Raises:
        UserError: no such dataset, version or time; the message lists the datasets.
        BadStore: nothing is published, or the store cannot be read.
    """
    storage = Storage(uri)
    table = open_scores(storage, at)
    version = table.version()
    name = _choose_dataset(dataset, sorted({p.dataset for p in partitions(table)}), at)
    manifests = {
        (split, partition.metric): manifest
        for partition, manifest in published(storage, version, name).items()
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


def _choose_dataset(dataset: str | None, known: Sequence[str], at: At) -> str:
    if not known:
        raise UserError(f"--at: expected a version with published scores, got {at}")
    if dataset is None and len(known) > 1:
        raise UserError(f"--dataset: expected one of {', '.join(known)}, got none")
    if dataset is not None and dataset not in known:
        raise UnknownName("--dataset", dataset, known)
    return dataset or known[0]


def _find_version(storage: Storage, name: str, split: Split, version: str) -> DatasetVersion:
    """Find a dataset version; scores published under another name keep the folder of their data."""
    folders = [name, *sorted(storage.names(DATASETS) - {name})]
    for folder in folders:
        with suppress(FileNotFoundError):
            return load_version(storage, folder, split, version)
    raise BadStore(
        f"--store: expected the data of {name}, got no datasets/*/{split}/{version}.json in "
        f"{storage.uri}"
    )
