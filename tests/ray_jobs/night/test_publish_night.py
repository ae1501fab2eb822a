"""What a night publishes: manifests, and nothing that is not complete."""

import pytest
from in_process import jobs_in_process, rescoring
from small_plans import SMALL, plan_of

from ray_jobs.night.night_record import Night
from ray_jobs.night.publish_night import publish_night
from scoring.errors import IncompleteError
from scoring.folds.prediction import PREDICTED
from scoring.spec import Signal
from scoring.staged.scores import read_scores, write_scores
from scoring.store.layout import staged_path
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.publish import published

METRICS = ("--metrics", "ret", "msp")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with a night of pairs, whose predictions are the base run's."""
    store = str(tmp_path_factory.mktemp("published") / "store")
    with jobs_in_process():
        assert rescoring(store)(*SMALL, *METRICS) == 0
    return store


def manifests(store):
    return {(p.split, p.metric): m for p, m in published(Storage(store)).items()}


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_manifest_names_all_runs_behind_its_scores(store, split):
    models = plan_of(store, *METRICS).models
    base, pairs = models.base(), models.runs(Signal.PAIRS, split)
    found = manifests(store)
    assert {*found[split, "msp"].runs} == {base.key}
    wanted = {base.key, *(run.key for run in pairs), *(run.parent for run in pairs)}
    assert {*found[split, "ret"].runs} == wanted
    assert len(found[split, "ret"].runs) == len(wanted)
    assert {manifest.base for manifest in found.values()} == {base.key}


def test_a_manifest_names_the_files_that_rows_were_read_from(store):
    plan = plan_of(store, *METRICS)
    for (split, metric), manifest in manifests(store).items():
        work = [item for item in plan.work if item.split == split]
        assert {*manifest.staged} == {
            staged_path(name, item.key(name)) for name in (metric, PREDICTED.name) for item in work
        }
        assert Storage(store).existing(manifest.staged) == {*manifest.staged}


def test_a_manifest_says_what_data_and_settings_it_was_made_with(store):
    plan = plan_of(store, *METRICS)
    for (split, _), manifest in manifests(store).items():
        assert manifest.dataset_version == plan.versions[split].version
        assert manifest.trained_on == {s: v.version for s, v in plan.versions.items()}
        assert manifest.rows == plan.versions[split].rows
        assert manifest.settings["net"] == "small_cnn"
        assert manifest.settings["threads"] == "1"


def test_only_partitions_that_changed_are_written_again(rescore, tmp_path):
    store = str(tmp_path / "store")
    assert rescore(*SMALL, "--metrics", "msp") == 0
    before = manifests(store)
    assert rescore(*SMALL, "--metrics", "msp", "gradient_norm") == 0
    after = manifests(store)
    for split in ("train", "test"):
        assert after[split, "msp"] == before[split, "msp"]
        assert after[split, "gradient_norm"].night_id != before[split, "msp"].night_id


@pytest.fixture
def scored(rescore, tmp_path, monkeypatch):
    """A store in which a night has scored everything and published nothing."""
    store = str(tmp_path / "store")
    with monkeypatch.context() as patch:
        patch.setattr("ray_jobs.night.run.publish_night", stop)
        assert rescore(*SMALL, "--metrics", "msp") == 4
    return store


def stop(*_):
    raise IncompleteError("stopped")


def spoil(store, metric, change):
    """Write one shard's staged scores again, with other ids."""
    plan = plan_of(store, "--metrics", "msp")
    path = staged_path(metric, plan.work[1].key(metric))
    scores = read_scores(Storage(store), path)
    write_scores(
        Storage(store),
        path,
        ids=change(scores.ids),
        value=change(scores.value),
        spread=None,
        tiebreak=None,
        status=change(scores.status),
    )


SPOILT = {
    "the ids of others": lambda column: column[::-1],
    "a row too few": lambda column: column[:-1],
}


@pytest.mark.parametrize("change", SPOILT)
@pytest.mark.parametrize("metric", ["msp", PREDICTED.name])
def test_scores_of_other_examples_are_never_published(scored, metric, change):
    spoil(scored, metric, SPOILT[change])
    plan = plan_of(scored, "--metrics", "msp")
    night = Night.begin("protoscore rescore", plan.request.flags.night_date())
    expected = "the dataset's ids|100 rows"
    with pytest.raises(IncompleteError, match=f"{metric}: expected ({expected}) in staging, got"):
        publish_night(plan, plan, night)
    assert manifests(scored) == {}
    assert len(Store(scored).nights()) == 0


def test_what_is_scored_is_published_by_the_next_night(scored, rescore, capsys):
    capsys.readouterr()
    assert rescore(*SMALL, "--metrics", "msp") == 0
    assert "score:" not in capsys.readouterr().err
    assert len(Store(scored).scores(metric="msp")) == 150
    (row,) = Store(scored).nights().to_pylist()
    assert (row["shards_scored"], row["shards_reused"]) == (0, 6)
    assert (row["runs_trained"], row["runs_reused"]) == (0, 1)
