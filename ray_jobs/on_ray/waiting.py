"""What work on a cluster waits for: nodes that are busy, or a node that is not there."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import ray

from ray_jobs.jobs.progress import plural
from ray_jobs.jobs.stalls import explaining
from ray_jobs.terminal.say import note

Needs = Mapping[str, float]
"""Resource by Ray's name for it (CPU, GPU, memory in bytes) to the amount that one worker takes."""
_GB = 1e9


@contextmanager
def asking(stage: str, worker: str, needs: Needs) -> Iterator[None]:
    """Say what a stage's workers wait for: at once if no node has what one of them takes.

    Args:
        stage: its name.
        worker: what a worker is, such as "a trial".
        needs: what one takes.
    """
    if missing := _missing(worker, needs):
        note(f"{stage}: {missing}; waiting for one")
    with explaining(lambda: _missing(worker, needs) or _free(needs)):
        yield


def _missing(worker: str, needs: Needs) -> str:
    """Say what a worker takes if no node has that much; else ""."""
    wanted = {name: amount for name, amount in needs.items() if amount}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    if any(all(node.get(n, 0) >= amount for n, amount in wanted.items()) for node in nodes):
        return ""
    amounts = " and ".join(_amount(name, amount) for name, amount in wanted.items())
    return f"{worker} takes {amounts}, and no node has that"


def _free(needs: Needs) -> str:
    """Say how much of the cluster is free."""
    free, everything = ray.available_resources(), ray.cluster_resources()  # type: ignore[no-untyped-call]
    parts = [
        f"{_number(name, free.get(name, 0))} of {_amount(name, everything.get(name, 0))}"
        for name, amount in needs.items()
        if amount
    ]
    return f"the cluster has {', '.join(parts)} free"


def _number(name: str, amount: float) -> str:
    return f"{amount / _GB:.1f}" if name == "memory" else f"{amount:g}"


def _amount(name: str, amount: float) -> str:
    unit = "GB of memory" if name == "memory" else plural(amount, name)
    return f"{_number(name, amount)} {unit}"
