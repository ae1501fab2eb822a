"""Nights on a cluster where anything may fail at any moment end as undisturbed ones do.

CHAOS_ROUNDS and CHAOS_SEED change how often and what; a failure prints its seed.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fault_proxy import FaultProxy, fault_proxy
from in_process import jobs_in_process
from processes import below
from ray.cluster_utils import Cluster
from s3_store import Gateway

from ray_jobs.cli import main
from scoring.store.storage import Storage
from scoring.tables import Store

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "3"))
SEED = int(os.environ.get("CHAOS_SEED", str(time.time_ns() % 100_000)))
WORKERS = 3
FLAGS = ("--limit-train", "300", "--limit-test", "150", "--shard-rows", "25", "--recipe", "smoke")
FLAGS += ("--batch-rows", "25", "--metrics", "adv_steps", "conf", "ret")
COLUMNS = "split, metric, example_id, name, label, predicted, value, spread, status, rank"
TRIES = 10
ENDS = (3, 4, 5, 143, -signal.SIGTERM, -signal.SIGKILL)
"""How a disturbed night may end; with anything else, a user would not know what to do.

SIGTERM that comes before the command has begun ends Python, which a shell calls 143 too.
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.s3,
    pytest.mark.timeout(300 + 600 * ROUNDS),
]


@dataclass
class Site:
    """A cluster of a head without CPUs and workers of one, and the store behind a proxy."""

    cluster: Cluster
    proxy: FaultProxy
    environment: Mapping[str, str]
    log: Path
    exits: ExitStack
    workers: list[tuple[object, FaultProxy]] = field(default_factory=list)
    """Each node, and its own way to the store."""

    def add_worker(self) -> None:
        proxy = self.exits.enter_context(fault_proxy(self.proxy.endpoint))
        node = self.cluster.add_node(
            num_cpus=1,
            object_store_memory=100 << 20,
            env_vars={"AWS_ENDPOINT_URL": proxy.endpoint},
        )
        self.workers.append((node, proxy))

    def night(self, store: str) -> "subprocess.Popen[bytes]":
        """Start the job as a process of its own."""
        command = [sys.executable, "-m", "ray_jobs.rescore", "--store", store, *FLAGS]
        environment = {**os.environ, **self.environment, "RAY_ADDRESS": self.cluster.address}
        with self.log.open("ab") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


@pytest.fixture(scope="module")
def site(s3_gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        fault_proxy(s3_gateway.endpoint) as proxy,
        pytest.MonkeyPatch.context() as patch,
        ExitStack() as exits,
    ):
        environment = {**s3_gateway.environment, "AWS_ENDPOINT_URL": proxy.endpoint}
        for name, value in environment.items():
            patch.setenv(name, value)  # raylets hand it to their workers
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 100 << 20}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        site = Site(cluster, proxy, environment, tmp_path_factory.mktemp("chaos") / "log", exits)
        for _ in range(WORKERS):
            site.add_worker()
        yield site
        cluster.shutdown()


@dataclass(frozen=True)
class Victim:
    """A night that is about to be disturbed."""

    site: Site
    store: str
    driver: "subprocess.Popen[bytes]"
    chance: random.Random


def kill_a_node(victim: Victim) -> None:
    """A machine is gone, and another one joins."""
    site, chance = victim.site, victim.chance
    node, _ = site.workers.pop(chance.randrange(len(site.workers)))
    site.cluster.remove_node(node, allow_graceful=False)
    time.sleep(chance.uniform(0, 3))
    site.add_worker()


def kill_a_process(victim: Victim) -> None:
    """A trial, a scorer or a decoder dies."""
    workers = [
        pid
        for pid, title in below(os.getpid()).items()
        # With its agent a raylet dies too: that would be a node, and none would join.
        if title.startswith("ray::") and "Agent" not in title
    ]
    if workers:
        os.kill(victim.chance.choice(workers), signal.SIGKILL)


def kill_the_driver(victim: Victim) -> None:
    victim.driver.kill()


def terminate_the_driver(victim: Victim) -> None:
    """As a scheduler does that needs the machine."""
    victim.driver.terminate()


def let_the_store_fail(victim: Victim) -> None:
    victim.site.proxy.ail("failing", victim.chance.uniform(0.5, 2))


def let_the_store_stall(victim: Victim) -> None:
    victim.site.proxy.ail("stalling", victim.chance.uniform(1, 5))


def fill_the_store(victim: Victim) -> None:
    """It can be read, but takes nothing more for a while."""
    victim.site.proxy.ail("full", victim.chance.uniform(0.5, 2))


def cut_a_worker_off(victim: Victim) -> None:
    """One machine cannot reach the store for a minute; the night goes on meanwhile."""
    _, proxy = victim.chance.choice(victim.site.workers)
    threading.Thread(target=proxy.ail, args=("stalling", 60), daemon=True).start()


def flip_a_bit(victim: Victim) -> None:
    """A file is not what was written, though as long."""

    def flip(data: bytes) -> bytes:
        bit = victim.chance.randrange(8 * len(data))
        byte = bytes([data[bit // 8] ^ 1 << bit % 8])
        return data[: bit // 8] + byte + data[bit // 8 + 1 :]

    _harm_a_file(victim, flip)


def cut_a_file_short(victim: Victim) -> None:
    _harm_a_file(victim, lambda data: data[: victim.chance.randrange(len(data))])


def _harm_a_file(victim: Victim, harm: Callable[[bytes], bytes]) -> None:
    storage = Storage(victim.store)
    folders = ["staging", "runs", "outputs", "datasets/digits/shards", "datasets/digits/receipts"]
    files = sorted(file.path for folder in folders for file in storage.walk(folder) if file.size)
    if files:
        path = victim.chance.choice(files)
        storage.write(path, harm(storage.read(path)))


def vacuum_beside_it(victim: Victim) -> None:
    """Somebody tidies up at the wrong time: it refuses, or takes only what nobody needs."""
    command = ["vacuum", "--older-than-days", "0", "--store", victim.store]
    subprocess.run([sys.executable, "-m", "ray_jobs.cli", *command], capture_output=True)


FAULTS: tuple[Callable[[Victim], None], ...] = (
    kill_a_node,
    kill_a_process,
    kill_the_driver,
    terminate_the_driver,
    let_the_store_fail,
    let_the_store_stall,
    fill_the_store,
    cut_a_worker_off,
    flip_a_bit,
    cut_a_file_short,
    vacuum_beside_it,
)


def disturbed_night(site: Site, store: str, chance: random.Random) -> list[str]:
    """Run a night to its end, however often it must be started; returns what befell it."""
    faults = chance.sample(FAULTS, 3)
    befell = []
    for _ in range(TRIES):
        driver = site.night(store)
        while driver.poll() is None:
            if faults:
                time.sleep(chance.uniform(2, 9))
                fault = faults.pop()
                befell.append(fault.__name__)
                fault(Victim(site, store, driver, chance))
            else:
                time.sleep(0.2)
        if driver.returncode == 0:
            return befell
        assert driver.returncode in ENDS, site.log.read_text()[-3000:]
    pytest.fail(f"{TRIES} tries were not enough: {site.log.read_text()[-3000:]}")


def published(store: str) -> list[tuple[object, ...]]:
    table = Store(store).sql(f"select {COLUMNS} from scores order by all")
    return [tuple(row.values()) for row in table.to_pylist()]


def test_disturbed_nights_end_as_undisturbed_ones(
    site: Site, s3_gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    undisturbed = str(tmp_path / "undisturbed")
    with jobs_in_process():
        assert main(["rescore", "--store", undisturbed, *FLAGS]) == 0
    want = published(undisturbed)
    assert len(want) == 3 * 450
    for round_ in range(ROUNDS):
        chance = random.Random(f"{SEED} {round_}")
        store = s3_gateway.new_store()
        befell = disturbed_night(site, store, chance)
        with capsys.disabled():
            print(f"\nchaos seed {SEED}, round {round_ + 1}: {', '.join(befell)}", flush=True)
        assert published(store) == want
        # What was harmed after its last use is found, and made again.
        assert main(["verify", "--mend", "--store", store]) in (0, 5)
        assert site.night(store).wait() == 0
        assert main(["verify", "--store", store]) == 0
        assert published(store) == want
        assert nothing_but_what_is_needed(store), f"CHAOS_SEED={SEED}"
        assert published(store) == want


def nothing_but_what_is_needed(store: str) -> bool:
    """Whether vacuum finds all that broken tries left: then the store is as an undisturbed one."""
    storage = Storage(store)
    for path in [f"jobs/{name}" for name in storage.names("jobs")]:
        storage.remove([path])  # a killed job's lease holds for minutes
    assert main(["vacuum", "--older-than-days", "0", "--store", store]) == 0
    return {len(storage.names(f"staging/{metric}")) for metric in storage.names("staging")} == {18}
