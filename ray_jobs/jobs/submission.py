"""Submit a command to a Ray cluster, follow its log, and exit with its exit code.

The submission's id works as a lock, `<command>-<hash of its flags>-<date>-<attempt>`: whoever
submits the same command on the same day joins the running attempt. A new attempt starts only if the
last one failed. `ray job submit` would turn every exit code into 0 or 1.
"""

import asyncio
import re
import shlex
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from ray_jobs.terminal.say import note, say
from scoring.errors import IncompleteError, UserError
from scoring.secrets import holds_secrets
from scoring.store.keys import digest

_STARTING_S = 60.0  # a head node that has just started needs some seconds before it can run jobs
_POLL_S = 1.0


def submit(
    command: Sequence[str],
    *,
    address: str | None,
    working_dir: str = "",
    wait: bool = True,
    again: bool = False,
) -> int:
    """Submit a command to a cluster, or join the running attempt.

    Args:
        command: a protoscore command and its flags.
        address: the cluster's job server; None: from the environment.
        working_dir: a folder to upload and run in; "": use the protoscore installed there.
        wait: follow the log until the job ends.
        again: start a new attempt even if the last one succeeded.

    Returns:
        The job's exit code; 0 without waiting.

    Raises:
        UserError: there is no such job server, or no valid token, or the command holds credentials,
            which the cluster would keep in its logs.
        IncompleteError: the job could not be started, or was stopped.
    """
    if secrets := [argument for argument in command if holds_secrets(argument)]:
        raise UserError(
            f"submit: expected credentials in the cluster's environment, got some in {secrets[0]!r}"
        )
    client = _connect(address)
    job_id = _submit(client, command, working_dir, again=again)
    if not wait:
        return 0
    try:
        return _follow(client, job_id)
    except KeyboardInterrupt:
        note(
            f"{job_id} goes on without you; the same command follows it again, and "
            f"`ray job stop {job_id}` ends it"
        )
        raise


def submission_prefix(command: Sequence[str], today: str) -> str:
    """Return the submission's id without its attempt.

    Raises:
        UserError: --date is not a date. Ray names files by the id.
    """
    dates = [b for a, b in pairwise(command) if a == "--date"]
    dates += [arg.removeprefix("--date=") for arg in command if arg.startswith("--date=")]
    date = dates[-1] if dates and dates[-1] != "auto" else today
    if not re.fullmatch(r"[\w-]+", date):
        raise UserError(f"--date: expected auto or YYYY-MM-DD, got {date!r}")
    return f"{command[0]}-{digest(list(command))[:12]}-{date}"


def _connect(address: str | None) -> JobSubmissionClient:
    from ray.exceptions import AuthenticationError

    where = address or "RAY_API_SERVER_ADDRESS"
    try:
        return JobSubmissionClient(address)
    except AuthenticationError:
        raise UserError(
            f"--address {where}: expected the cluster's token (RAY_AUTH_MODE=token and "
            "RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH), got none or another one"
        ) from None
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(
            f"--address: expected a Ray job server like http://head:8265, got {where} "
            f"({type(error).__name__})"
        ) from None


def _submit(
    client: JobSubmissionClient, command: Sequence[str], working_dir: str, *, again: bool
) -> str:
    """Submit, or join an attempt that is running or has succeeded; returns its id."""
    prefix = submission_prefix(command, f"{datetime.now(UTC):%Y-%m-%d}")
    attempts = _attempts(client, prefix)
    if attempts:
        last = attempts[max(attempts)]
        running = not last.status.is_terminal()
        if running or (last.status is JobStatus.SUCCEEDED and not again):
            state = "runs already" if running else "has succeeded; --again makes a new attempt"
            say(f"{last.submission_id} {state}", flush=True)
            return str(last.submission_id)
    job_id = f"{prefix}-{max(attempts, default=0) + 1}"
    _start(client, job_id, command, working_dir)
    say(f"submitted {job_id}", flush=True)
    return job_id


def _start(
    client: JobSubmissionClient, job_id: str, command: Sequence[str], working_dir: str
) -> None:
    """Start an attempt, unless somebody else just did."""
    deadline = time.monotonic() + _STARTING_S
    while True:
        try:
            client.submit_job(
                entrypoint=shlex.join(["python", "-P", "-m", "ray_jobs.cli", *command]),
                submission_id=job_id,
                runtime_env={"working_dir": working_dir} if working_dir else {},
            )
        except (RuntimeError, ValueError) as error:
            if "already exists" in str(error):
                return
            if "No available agent" not in str(error) or time.monotonic() > deadline:
                raise IncompleteError(f"{job_id}: expected to submit it, got {error}") from None
            time.sleep(_POLL_S)
        else:
            return


def _attempts(client: JobSubmissionClient, prefix: str) -> dict[int, JobDetails]:
    """Return the earlier attempts of the same command on the same day, by number."""
    found = {}
    for job in client.list_jobs():
        start, _, attempt = (job.submission_id or "").rpartition("-")
        if start == prefix and attempt.isdecimal():
            found[int(attempt)] = job
    return found


def _follow(client: JobSubmissionClient, job_id: str) -> int:
    """Show the log until the job ends; returns its exit code."""
    asyncio.run(_show_log(client, job_id))
    while not client.get_job_status(job_id).is_terminal():
        time.sleep(_POLL_S)
    ended: Any = client.get_job_info(job_id)
    if ended.driver_exit_code is not None:
        return int(ended.driver_exit_code)
    if ended.status is JobStatus.SUCCEEDED:
        return 0
    raise IncompleteError(f"{job_id}: expected it to end by itself, got {ended.message}")


async def _show_log(client: JobSubmissionClient, job_id: str) -> None:
    try:
        async for lines in client.tail_job_logs(job_id):
            say(lines, end="", flush=True)
    except RuntimeError as error:  # the connection broke; the job goes on
        note(f"the log of {job_id} broke off: {error}")
