"""Ray gives what this process gives: a whole night row for row, and each call of the engine."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from digit_files import digit_images
from in_process import InProcessEngine, jobs_in_process, rescoring

from ray_jobs.cli import main
from ray_jobs.engine import Engine, engine
from ray_jobs.evaluations.slice_flags import SlicesFlags
from ray_jobs.evaluations.slice_plan import plan_slices
from ray_jobs.terminal.night_flags import MachineFlags
from scoring.analysis.clusters import MapSettings
from scoring.analysis.map_vectors import Vectors
from scoring.analysis.snapshot import Snapshot, take_snapshot
from scoring.registry import metrics
from scoring.runs.record import load_record
from scoring.staged.features import read_features
from scoring.store.layout import features_path
from scoring.store.storage import Storage
from scoring.tables import Store

pytestmark = pytest.mark.ray
HIDDEN = "7"  # the first linear layer of small_cnn
DIGITS = ("--limit-train", "200", "--limit-test", "100", "--shard-rows", "100")


@pytest.fixture(scope="module")
def stores(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same night twice, with every metric: once on Ray, once in this process."""
    root = tmp_path_factory.mktemp("same")
    assert rescoring(root / "ray")(*DIGITS) == 0
    with jobs_in_process():
        assert rescoring(root / "here")(*DIGITS) == 0
    return {"ray": str(root / "ray"), "here": str(root / "here")}


@pytest.fixture
def cluster(local_ray: None) -> Iterator[Engine]:
    """The engine on Ray."""
    with engine(MachineFlags(batch_rows=50)) as opened:
        yield opened


@pytest.fixture
def snapshot(stores: dict[str, str]) -> Snapshot:
    """What the night on Ray published."""
    return take_snapshot(stores["ray"])


def rows(store: str) -> pa.Table:
    """Published rows in one order, without the time that they were made at."""
    table = Store(store).scores().drop_columns(["scored_at"])
    return table.sort_by([(c, "ascending") for c in ("split", "metric", "example_id")])


def test_a_night_publishes_the_same_rows(stores: dict[str, str]) -> None:
    on_ray, here = rows(stores["ray"]), rows(stores["here"])
    assert len(on_ray) == 300 * len(metrics())
    assert on_ray.equals(here)


def test_a_night_leaves_the_same_runs(stores: dict[str, str]) -> None:
    columns = ["run_key", "kind", "train_accuracy", "test_accuracy", "epsilon_spent", "rows"]
    on_ray, here = (
        Store(store).runs().select(columns).sort_by("run_key") for store in stores.values()
    )
    assert len(on_ray) == 27
    assert on_ray.equals(here)
    # On Ray several runs are trained in one trial.
    tallies = [
        {path.parent.name: path.read_bytes() for path in Path(store).glob("runs/*/epochs.parquet")}
        for store in stores.values()
    ]
    assert len(tallies[0]) == 6 + 2 + 6  # members, parents of pairs other than the base, pairs
    assert tallies[0] == tallies[1]


def test_maps_are_the_same(cluster: Engine, snapshot: Snapshot) -> None:
    vectors = Vectors(storage=snapshot.storage, version=snapshot.current("train"))
    wanted = {("low", 1): np.arange(0, 90, 3), ("high", 2): np.arange(100, 200, 4)}
    settings = MapSettings(perplexity=5)
    on_ray = cluster.draw_maps(vectors, wanted, settings)
    here = InProcessEngine(machine=MachineFlags()).draw_maps(vectors, wanted, settings)
    assert on_ray.keys() == here.keys() == wanted.keys()
    for group, drawn in on_ray.items():
        order = np.argsort(drawn.ids)
        np.testing.assert_array_equal(drawn.ids[order], here[group].ids)
        np.testing.assert_allclose(drawn.places[order], here[group].places, atol=1e-6)
        np.testing.assert_array_equal(drawn.cluster[order], here[group].cluster)


def test_features_are_the_same(cluster: Engine, snapshot: Snapshot, stores: dict[str, str]) -> None:
    run, version = snapshot.newest.base, snapshot.current("test")
    cluster.stage_features(snapshot.storage, run, HIDDEN, [version], "cpu")
    here = InProcessEngine(machine=MachineFlags(batch_rows=50))
    here.stage_features(Storage(stores["here"]), run, HIDDEN, [version], "cpu")
    for shard in version.shards:
        path = features_path(run, HIDDEN, shard.content)
        one, other = (read_features(Storage(store), path) for store in stores.values())
        np.testing.assert_array_equal(one.features, other.features)


def test_slices_are_trained_on_alone(cluster: Engine, snapshot: Snapshot) -> None:
    of = {"metrics": ("msp",), "window": 50, "sizes": (), "seeds": (0,)}
    flags = SlicesFlags(store=snapshot.storage.uri, **of)
    plan = plan_slices(flags, snapshot)
    run = plan.runs[0]
    slices = {run.key: plan.slices[run.key]}
    assert cluster.train(plan.storage, [run], plan.versions, slices=slices) == ()
    assert load_record(plan.storage, run.key).rows == 50


def product(a: int, b: int) -> int:
    """Something to call."""
    return a * b


def mark(folder: Path) -> Callable[[int], None]:
    """Begin, then leave a file for each item."""
    (folder / "begun").touch()
    return lambda item: (folder / str(item)).touch()


def test_work_is_done_on_every_item(cluster: Engine, tmp_path: Path) -> None:
    cluster.for_each("mark", "file", partial(mark, tmp_path), range(5))
    assert {path.name for path in tmp_path.iterdir()} == {"begun", *map(str, range(5))}


def test_a_call_returns_what_the_function_does(cluster: Engine) -> None:
    assert cluster.call(product, 17, 5) == 85


def test_bad_data_found_by_a_worker_is_one_line(
    local_ray: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, _ = digit_images(slice(0, 4))
    for split, labels in (("train", [0, 1, 0, 1]), ("test", [0, 1, 7, 1])):
        pq.write_table(pa.table({"image": images, "label": labels}), tmp_path / f"{split}.parquet")
    files = [f"--{split}={tmp_path / split}.parquet" for split in ("train", "test")]
    command = ["ingest", "--dataset", "parquet", *files, "--store", str(tmp_path / "store")]
    assert main(command) == 2
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert complaint.startswith("protoscore: error: ")
    assert "row 2: expected a label among the training split's 2 classes, got '7'" in complaint
