"""The right to be forgotten: examples leave a store for good, with everything made of them.

A certificate comes first, and is what keeps the examples out from then on. Every step after it can
be done again, so whatever ends the job, the next `forget` completes it. It needs no source.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from ray_jobs.jobs.forget_models import retraining
from ray_jobs.jobs.forget_wanted import Wanted, new_certificates
from ray_jobs.jobs.job_record import FORGET, load_jobs
from ray_jobs.jobs.lease import writing_job
from ray_jobs.jobs.progress import Progress, counted
from scoring.analysis.rerank import rerank
from scoring.data.corrections import drop_forgotten
from scoring.data.forget_shards import (
    copies,
    cut_versions,
    remnants,
)
from scoring.data.forgotten import Certificate, certificates
from scoring.data.reviews import Queue, queues_with
from scoring.data.studies import Study, studies_with
from scoring.registry import metric
from scoring.runs.tally_file import strike_from_tallies, tallies_with
from scoring.store.layout import (
    DATASETS,
    certificate_path,
    job_path,
    review_path,
    study_path,
    table_path,
)
from scoring.store.records import write_record
from scoring.store.storage import Storage
from scoring.tables.forget_rows import rewrite
from scoring.tables.forget_traces import traces
from scoring.tables.forgetting import Forgetting, TableFile, files_with, published_as
from scoring.tables.publish import published

_SHOWN = 10
_NOTHING = "Nothing to forget: these examples were forgotten before."


def forget(storage: Storage, wanted: Wanted, command: str, *, dry_run: bool) -> str:
    """Remove examples from a store, and leave a certificate.

    Args:
        storage: the store.
        wanted: the examples.
        command: what the user typed.
        dry_run: only say what would be removed.

    Returns:
        A summary for people.

    Raises:
        UserError: unknown examples, or another job is at work; nothing was removed.
    """
    begun = new_certificates(storage, wanted)
    if dry_run:
        return "\n".join(_foretell(storage, certificate) for certificate in begun) or _NOTHING
    with writing_job(storage, FORGET, command=command, dataset=wanted.dataset) as lease:
        lease.check_alone()
        begun = new_certificates(storage, wanted)
        for certificate in begun:
            certificate.save(storage)
        unfinished = [found for found in certificates(storage) if not found.ended_at]
        lines = [_finish(storage, certificate) for certificate in unfinished]
        lease.end("done", f"{len(lines)} certificates")
    return "\n".join(lines) or _NOTHING


def _forgetting(storage: Storage, certificate: Certificate) -> Forgetting:
    return Forgetting(
        datasets=published_as(published(storage), certificate.dataset),
        split=certificate.split,
        ids=np.array(certificate.ids, dtype=np.int64),
        names=frozenset(certificate.names),
    )


def _foretell(storage: Storage, certificate: Certificate) -> str:
    """Say what would be removed."""
    named = files_with(storage, _forgetting(storage, certificate))
    studies = [study_path(study.id) for study in _studies(storage, certificate)]
    queues = [review_path(queue.id) for queue in _queues(storage, certificate)]
    tallies = _tallies(storage, certificate)
    counts = _count([*traces(storage, certificate), *studies, *queues, *tallies])
    counts[DATASETS] = counts.get(DATASETS, 0) + len(certificate.shards)
    lines = [f"Would forget {_of(certificate)}:", *_by_folder(counts)]
    lines += _of_tables([(file.table, file.rows) for file in named if file.current])
    older = sum(not file.current for file in named)
    lines += [f"  {older} data files of earlier versions of tables"] if older else []
    lines += [f"  {len(certificate.models)} models were trained on them"]
    return "\n".join(lines)


def _finish(storage: Storage, certificate: Certificate) -> str:
    """Remove everything that a certificate names; each step can be done again.

    Returns:
        What was removed, and what was not.
    """
    with Progress("forget", len(certificate.shards), "shard") as progress:
        cut = cut_versions(storage, certificate, progress.advance)
    forgetting = _forgetting(storage, certificate)
    named = files_with(storage, forgetting)
    rewrite(
        storage,
        forgetting,
        named,
        {version.before.version: version.after.version for version in cut},
        datetime.now(UTC).isoformat(),
        lambda name, rows, version: rerank(metric(name), rows, version),
    )
    certificate = replace(certificate, data_files=_data_files(certificate, named))
    certificate.save(storage)
    for version in cut:
        version.rewrite(storage)
    counts = _remove(storage, certificate, forgetting)
    certificate = replace(
        certificate,
        ended_at=datetime.now(UTC).isoformat(timespec="seconds"),
        removed=counts,
        remaining=_remaining(storage, certificate),
    )
    certificate.save(storage)
    lines = [f"Forgot {_of(certificate)}:", *_by_folder(counts)]
    lines += _of_tables([(file.table, file.rows) for file in named if file.current])
    if certificate.data_files.get("scores"):
        lines.append("  earlier versions of the tables are dropped: --at can no longer show them")
    lines += ["Not removed:", *(f"  {line}" for line in certificate.remaining)]
    lines += [f"Certificate: {storage.uri}/{certificate_path(certificate.id)}"]
    return "\n".join(lines)


def _remove(storage: Storage, certificate: Certificate, forgetting: Forgetting) -> dict[str, int]:
    """Remove what no table and no version needs any more; return how many files, by folder."""
    tallies = _tallies(storage, certificate)
    strike_from_tallies(storage, tallies, certificate.ids)
    receipts, shards = remnants(storage, certificate)
    old = [table_path(t, path) for t, paths in certificate.data_files.items() for path in paths]
    rest = storage.existing({*traces(storage, certificate), *old, *shards})
    storage.remove(receipts)  # before their shards, or a night would believe them
    storage.remove(rest)
    corrected = drop_forgotten(storage, certificate.dataset, certificate.split, certificate.ids)
    struck = _strike_commands(storage, forgetting)
    for study in _studies(storage, certificate):
        study.forget(storage, frozenset(certificate.ids))
        struck.append(study_path(study.id))
    for queue in _queues(storage, certificate):
        queue.forget(storage, frozenset(certificate.ids))
        struck.append(review_path(queue.id))
    return _count([*receipts, *rest, *corrected, *struck, *tallies])


def _strike_commands(storage: Storage, forgetting: Forgetting) -> list[str]:
    """Strike ids and names out of the command lines of job records; return their paths."""
    paths = []
    for job in load_jobs(storage):
        struck = forgetting.strike(job.command)
        if struck != job.command:
            paths.append(job_path(job.job_id))
            write_record(storage, paths[-1], replace(job, command=struck))
    return paths


def _studies(storage: Storage, certificate: Certificate) -> list[Study]:
    """Read the designs of human studies that show the examples."""
    ids = frozenset(certificate.ids)
    return studies_with(storage, certificate.dataset, certificate.split, ids)


def _queues(storage: Storage, certificate: Certificate) -> list[Queue]:
    """Read the queues of label reviews that hold the examples."""
    ids = frozenset(certificate.ids)
    return queues_with(storage, certificate.dataset, certificate.split, ids)


def _tallies(storage: Storage, certificate: Certificate) -> list[str]:
    """List what finished models added up of the examples while they trained."""
    return tallies_with(storage, certificate.models, certificate.split, certificate.ids)


def _data_files(certificate: Certificate, named: Sequence[TableFile]) -> dict[str, tuple[str, ...]]:
    found = {table: [*paths] for table, paths in certificate.data_files.items()}
    for file in named:
        found.setdefault(file.table, []).append(file.path)
    return {table: tuple(dict.fromkeys(paths)) for table, paths in found.items()}


def _remaining(storage: Storage, certificate: Certificate) -> tuple[str, ...]:
    """Say what still holds the examples, or may."""
    lines = []
    if certificate.models:
        command = retraining(storage, certificate.dataset) or "protoscore rescore --models retrain"
        lines.append(
            f"{counted(len(certificate.models), 'model')} trained on them: "
            f"{_some(certificate.models)}; to have others: {command}; "
            "then protoscore vacuum removes these"
        )
    if same := copies(storage, frozenset(certificate.hashes)):
        lines.append(f"{counted(len(same), 'other example')} with the same bytes: {_some(same)}")
    derived = [
        name
        for name in sorted(storage.names(DATASETS))
        if name.startswith(f"{certificate.dataset}-")
    ]
    if derived:
        lines.append(f"altered copies, if any, in {', '.join(derived)}: forget them there too")
    lines += [
        "the source: remove them there too (protoscore does not read them again)",
        "reports, exports, studies, reviews and pages of explain, written before: write them again",
        "numbers computed with them in evaluations and example sets: run evaluate again",
        "backups and copies of the store, and versions that the bucket keeps of its files",
    ]
    return tuple(lines)


def _count(paths: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(path.partition("/")[0] for path in paths).items()))


def _by_folder(counts: Mapping[str, int]) -> list[str]:
    return [f"  {folder:<12} {counted(count, 'file')}" for folder, count in counts.items()]


def _of_tables(rows: Iterable[tuple[str, int]]) -> list[str]:
    totals: Counter[str] = Counter()
    for table, count in rows:
        totals[table] += count
    return [f"  {table:<12} {counted(count, 'row')}" for table, count in totals.items()]


def _of(certificate: Certificate) -> str:
    examples = counted(len(certificate.ids), f"{certificate.split} example")
    return f"{examples} of {certificate.dataset}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
