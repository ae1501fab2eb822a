"""Data that do not fit in memory go to scratch space, on a real Ray."""

import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from in_process import jobs_in_process, rescoring
from small_plans import SMALL, plan_of

from ray_jobs.engine import engine
from ray_jobs.night.run import train
from ray_jobs.terminal.night_flags import MachineFlags
from scoring.data.mapped_set import map_training_set
from scoring.data.versions import DatasetVersion
from scoring.errors import Outage
from scoring.runs.at_rest import load_layer
from scoring.runs.record import load_record
from scoring.store.layout import MARK, model_path
from scoring.store.scratch import Scratch
from scoring.store.storage import Storage

pytestmark = pytest.mark.ray
METRICS = ("--metrics", "representer_self")  # a run that is trained, and a layer at rest


@pytest.fixture(scope="module")
def in_memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a night that ran in this process, its data in memory."""
    store = tmp_path_factory.mktemp("trained") / "store"
    with jobs_in_process():
        assert rescoring(store)(*SMALL, *METRICS) == 0
    return store


@pytest.fixture
def ingested(in_memory: Path, tmp_path: Path) -> Path:
    """A store with the same data, and no runs."""
    for name in ("datasets", MARK):
        copy = shutil.copytree if (in_memory / name).is_dir() else shutil.copy
        copy(in_memory / name, tmp_path / "store" / name)
    return tmp_path / "store"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where scratch space goes."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def on_disk(place: Path) -> MachineFlags:
    """Flags by which nothing fits in memory."""
    return MachineFlags(batch_rows=50, train_memory_gb=1e-9, scratch=str(place))


def left(place: Path) -> list[str]:
    """List what is left once workers that are about to end have ended."""
    scratch = place / f"protoscore-scratch-{os.geteuid()}"
    for _ in range(100):
        names = [name for name in os.listdir(scratch) if name != "made-by-protoscore"]
        if not names:
            break
        time.sleep(0.1)
    return names


def hold(storage: Storage, version: DatasetVersion, place: str) -> Callable[[int], None]:
    """Map a split for the life of a worker."""
    data = map_training_set(storage, version, Scratch(place))

    def look(label: int) -> None:
        assert label in data.labels

    return look


def test_models_are_those_of_memory_and_nothing_is_left(
    local_ray: None, in_memory: Path, ingested: Path, place: Path
) -> None:
    plan = plan_of(ingested, *METRICS)
    assert {run.spec.kind for run in plan.missing_runs} == {"plain", "representer"}
    with engine(on_disk(place)) as cluster:
        assert train(cluster, plan) == ()
        assert left(place) == []
    trained, at_rest = plan.missing_runs
    storages = [Storage(str(store)) for store in (in_memory, ingested)]
    one, other = (storage.read(model_path(trained.key)) for storage in storages)
    assert one == other
    layers = [load_layer(s, load_record(s, at_rest.key))[0].weights.numpy() for s in storages]
    np.testing.assert_allclose(*layers, atol=1e-9)  # it was solved for with other threads


def test_actors_leave_nothing(local_ray: None, ingested: Path, place: Path) -> None:
    plan = plan_of(ingested, *METRICS)
    begin = partial(hold, plan.request.storage, plan.versions["train"], str(place))
    with engine(on_disk(place)) as cluster:
        cluster.for_each("look", "label", begin, range(3))
        assert left(place) == []


def test_a_node_without_scratch_space_is_an_outage(
    local_ray: None, ingested: Path, tmp_path: Path
) -> None:
    plan, missing = plan_of(ingested, *METRICS), tmp_path / "missing"
    data = (plan.request.storage, plan.versions["train"], str(missing))
    with engine(on_disk(missing)) as cluster:
        for act in (
            lambda: train(cluster, plan),
            lambda: cluster.for_each("look", "label", partial(hold, *data), [0]),
            lambda: cluster.call(hold, *data),
        ):
            with pytest.raises(Outage) as refused:
                act()
            message = str(refused.value)
            assert message.startswith(f"--scratch or $PROTOSCORE_SCRATCH: expected '{missing}/")
            assert "got No such file or directory; " in message
            assert "\n" not in message
