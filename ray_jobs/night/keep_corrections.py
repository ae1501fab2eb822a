"""Corrections of labels are kept under the dataset, so that every later night has them."""

from collections import Counter

from ray_jobs.jobs.progress import counted
from ray_jobs.night.night_record import Night
from ray_jobs.night.request import Request
from ray_jobs.terminal.say import say
from scoring.data.corrections import amend, in_force, pending


def keep_corrections(request: Request, night: Night) -> None:
    """Record what a night corrects, and say it; call it before anything is made of it."""
    storage, dataset = request.storage, request.source.name
    changes = pending(storage, dataset, request.changes)
    if not changes:
        return
    amend(
        storage,
        dataset,
        changes,
        job=night.night_id,
        origin=request.changes_from,
        made_at=night.started.isoformat(timespec="seconds"),
    )
    kinds = Counter(
        "given back" if c.withdrawn else "excluded" if c.excluded else "corrected" for c in changes
    )
    what = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
    now = sum(map(len, in_force(storage, dataset).values()))
    say(f"Labels of {dataset}: {what}; {counted(now, 'correction')} in force", flush=True)
