"""How long a night will take and what that costs, at the pace of earlier nights or of a trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ray_jobs.jobs.account import Account
from ray_jobs.jobs.job_record import load_jobs
from ray_jobs.jobs.meter import HOUR_S
from ray_jobs.jobs.pace import Pace, added_up, training_amount, training_kind, weigh
from ray_jobs.jobs.progress import counted
from ray_jobs.night.account import OTHER, matching
from ray_jobs.night.cluster_shape import ClusterShape, expected_shape, shared, slots
from ray_jobs.night.forecast import Forecast
from scoring.run_spec import RunSpec

_NEWEST = 5
"""How many nights are looked back upon."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """How fast each kind of work goes, and how long each stage waits besides."""

    paces: Mapping[str, Pace]
    waits: Mapping[str, float]
    """Seconds by stage."""
    basis: str
    """Where they come from, as in "as ... went"; "" if there are none."""

    def seconds(self, kind: str, amount: float) -> float | None:
        """Return how long a worker takes for some work; None if nobody knows."""
        if not amount:
            return 0.0
        pace = self.paces.get(kind)
        return amount * pace.seconds / pace.amount if pace else None

    def training_seconds(self, run: RunSpec, rows: int, looked_at: float = 0.0) -> float | None:
        """Return how long a worker takes for a run; None if nobody knows.

        Arguments as in `training_amount`. A width that was never trained takes as long as the
        others on average, and fine-tuning as long as other training.
        """
        if run.kind == "imported":
            return 0.0
        amount = training_amount(run, rows, looked_at)
        for kind in (run.kind, "plain") if run.kind == "finetuned" else (run.kind,):
            exact = training_kind(run).replace(run.kind, kind, 1)
            alike = [p for k, p in self.paces.items() if k.startswith(f"{kind} {run.net.name} x")]
            known = [self.paces[exact]] if exact in self.paces else alike
            if known:
                seconds, done = sum(p.seconds for p in known), sum(p.amount for p in known)
                return amount * seconds / done
        return None


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """How long a night will take."""

    shape: ClusterShape
    """The cluster that it is expected to have."""
    seconds: Mapping[str, float | None]
    """By stage, of those with work; None if nobody knows."""
    basis: str
    """Where that comes from; "" from nowhere."""

    @property
    def hours(self) -> float | None:
        """In all; None if nobody knows."""
        known = [seconds for seconds in self.seconds.values() if seconds is not None]
        return sum(known) / HOUR_S if len(known) == len(self.seconds) else None


def earlier_rates(forecast: Forecast) -> tuple[ClusterShape, Rates]:
    """Return the cluster to expect and the rates of the newest nights like this one.

    Nights on a cluster of that size are preferred; if there are none, others count.
    """
    situation = forecast.situation
    jobs = load_jobs(situation.request.storage)
    every = [job.account for job in jobs if job.account is not None]
    accounts = matching(every, situation)
    shape = expected_shape(situation.request.flags.machine, accounts or every)
    same = [account for account in accounts if ClusterShape.of(account) == shape]
    used = _newest_of_each_kind(same or accounts)
    nights = counted(len(used), "earlier night")
    where = str(shape) if same else "another cluster" if len(used) == 1 else "other clusters"
    waits: dict[str, list[float]] = {}
    for account in used:
        for stage, seconds in account.waits.items():
            waits.setdefault(stage, []).append(seconds)
    return shape, Rates(
        paces=added_up(pace for account in used for pace in account.paces),
        waits={stage: sum(all_) / len(all_) for stage, all_ in waits.items()},
        basis=f"{nights} on {where}" if used else "",
    )


def estimate(forecast: Forecast, shape: ClusterShape, rates: Rates) -> Estimate:
    """Estimate how long a night will take."""
    situation = forecast.situation
    hardware = situation.fleet.hardware
    room = slots(situation.request.flags.machine, hardware, shape)
    rows = sum(shard.piece.rows for shard in situation.to_ingest)
    work = {
        "ingest": _shared(rates.seconds("ingest", rows), len(situation.to_ingest), room["ingest"]),
        "train": _training(forecast, rates, room),
        "score": _shared(
            rates.seconds("score", weigh(forecast.passes)),
            forecast.shards_to_score,
            room["score"],
        ),
    }
    has_work = {
        "ingest": bool(situation.to_ingest),
        "train": bool(forecast.missing_runs),
        "score": bool(forecast.shards_to_score),
    }
    seconds = {
        stage: None if worked is None else worked + rates.waits.get(stage, 0.0)
        for stage, worked in work.items()
        if has_work[stage]
    }
    if seconds and OTHER in rates.waits:
        seconds[OTHER] = rates.waits[OTHER]
    return Estimate(shape=shape, seconds=seconds, basis=rates.basis)


def _training(forecast: Forecast, rates: Rates, room: Mapping[str, int]) -> float | None:
    """Return how long it takes to make the missing runs; layers at rest come last, one by one."""
    surveys = forecast.situation.surveys
    sizes = forecast.rows
    at_rest: list[float] = []
    trained: list[float] = []
    for run in forecast.missing_runs:
        rows = int(sizes[run.split] * run.share)
        seconds = rates.training_seconds(run, rows, run.looked_at(sizes))
        if seconds is None:
            return None
        (at_rest if run.kind == "representer" else trained).append(seconds)
    together = max([sum(trained) / room["train"], *trained])
    if not at_rest:
        return together
    rows = forecast.situation.rows
    shards = sum(len(survey.shards) for survey in surveys.values())
    features = _shared(rates.seconds("features", rows) or 0.0, shards, room["features"]) or 0.0
    return together + features + sum(at_rest)


def _shared(seconds: float | None, units: int, workers: int) -> float | None:
    return None if seconds is None else shared(seconds, units, workers)


def _newest_of_each_kind(accounts: Sequence[Account]) -> list[Account]:
    """Return the accounts that are among the newest with any kind of work, oldest first."""
    seen: dict[str, int] = {}
    used = []
    for account in reversed(accounts):
        if any(seen.get(pace.kind, 0) < _NEWEST for pace in account.paces):
            used.append(account)
        for pace in account.paces:
            seen[pace.kind] = seen.get(pace.kind, 0) + 1
    return used[::-1]
