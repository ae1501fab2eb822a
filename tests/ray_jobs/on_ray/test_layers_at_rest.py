"""Layers are solved for on a real Ray that does other work, too."""

from collections.abc import Callable
from pathlib import Path

import pytest
import ray

from scoring.tables import Store

pytestmark = pytest.mark.ray
Rescore = Callable[..., int]


@ray.remote(num_cpus=1)
class Neighbour:
    """Holds a CPU, as any other job of the cluster may."""

    def is_there(self) -> bool:
        return True


@pytest.fixture
def neighbour(local_ray):
    actor = Neighbour.remote()
    assert ray.get(actor.is_there.remote())
    yield
    ray.kill(actor)


def test_a_solver_does_not_wait_for_a_whole_node(
    neighbour: None, rescore_on_ray: Rescore, tmp_path: Path
) -> None:
    flags = ("--limit-train", "60", "--limit-test", "30", "--metrics", "representer_self")
    assert rescore_on_ray(*flags) == 0
    assert len(Store(str(tmp_path / "store")).scores()) == 90
