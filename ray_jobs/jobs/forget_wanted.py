"""What a user wants forgotten, looked up in the store: a certificate to begin for each split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ray_jobs.jobs.forget_models import models_of
from ray_jobs.jobs.job_record import new_job_id
from scoring.data.forget_shards import ids_by_name, known_ids, look_up, versions_with
from scoring.data.forgotten import Certificate, certificates_of, forgotten_ids
from scoring.data.versions import DatasetVersion, all_versions
from scoring.errors import UnknownName, UserError
from scoring.store.keys import Split
from scoring.store.layout import DATASETS
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the user wants forgotten: ids of one split, or names in one split or both."""

    dataset: str
    splits: tuple[Split, ...]
    ids: tuple[int, ...] = ()
    names: tuple[str, ...] = ()


def choose_dataset(storage: Storage, dataset: str | None) -> str:
    """Return the dataset to forget in: the one named, or the only one.

    Raises:
        UserError: there is none of that name, or several and none is named.
    """
    known = sorted(storage.names(DATASETS))
    if dataset is None and len(known) != 1:
        raise UserError(f"--dataset: expected one of {', '.join(known) or 'none'}, got none")
    if dataset is not None and dataset not in known:
        raise UnknownName("--dataset", dataset, known)
    return dataset or known[0]


def new_certificates(storage: Storage, wanted: Wanted) -> list[Certificate]:
    """Begin a certificate for each split, leaving out what was forgotten before.

    Raises:
        UserError: an id or a name is unknown.
    """
    versions = {split: all_versions(storage, wanted.dataset, split) for split in wanted.splits}
    if wanted.names:
        ids = _ids_of_names(storage, wanted, versions)
    else:
        (split,) = wanted.splits
        ids = {split: _checked_ids(storage, wanted, split, versions[split])}
    now, begun = datetime.now(UTC), []
    for split, found in ids.items():
        if not found:
            continue
        examples = look_up(storage, versions[split], found)
        _refuse_all(versions[split], wanted, split, found)
        begun.append(
            Certificate(
                id=new_job_id(now),
                dataset=wanted.dataset,
                split=split,
                ids=tuple(found),
                names=examples.names,
                hashes=examples.hashes,
                shards=examples.shards,
                began_at=now.isoformat(timespec="seconds"),
                models=models_of(
                    storage, split, [v.version for v in versions_with(versions[split], found)]
                ),
            )
        )
    return begun


def _checked_ids(
    storage: Storage, wanted: Wanted, split: Split, versions: Sequence[DatasetVersion]
) -> list[int]:
    ids = sorted(set(wanted.ids))
    known = known_ids(versions, ids)
    before = {*forgotten_ids(certificates_of(storage, wanted.dataset, split))}
    if unknown := sorted({*ids} - known - before):
        raise UserError(
            f"--ids: expected ids of the {split} split of {wanted.dataset}, got {unknown[0]}"
        )
    return sorted(known - before)


def _ids_of_names(
    storage: Storage, wanted: Wanted, versions: Mapping[Split, Sequence[DatasetVersion]]
) -> dict[Split, list[int]]:
    before = {split: certificates_of(storage, wanted.dataset, split) for split in versions}
    known = {name for found in before.values() for c in found for name in c.names}
    ids: dict[Split, list[int]] = {}
    for split, of_split in versions.items():
        by_name = ids_by_name(storage, of_split, wanted.names)
        known |= by_name.keys()
        ids[split] = sorted(set().union(*by_name.values()) - {*forgotten_ids(before[split])})
    if unknown := [name for name in wanted.names if name not in known]:
        raise UserError(
            f"--names: expected names of {' or '.join(versions)} examples of {wanted.dataset}, got "
            f"{unknown[0]!r}"
        )
    return ids


def _refuse_all(
    versions: Sequence[DatasetVersion], wanted: Wanted, split: Split, ids: Sequence[int]
) -> None:
    if all(len(known_ids([version], ids)) == version.rows for version in versions):
        raise UserError(
            f"expected to keep some {split} examples of {wanted.dataset}, got all of them to "
            "forget; delete the store instead"
        )
