"""The jobs of a store that may be at work."""

from ray_jobs.jobs.job_record import JobRecord, read_jobs
from scoring.store.storage import Storage


def live_jobs(storage: Storage) -> list[JobRecord]:
    """Read the records of jobs that may be at work, oldest first."""
    return read_jobs(storage).alive(storage.now())
