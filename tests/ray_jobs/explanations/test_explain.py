"""Explanations of digits on a real Ray, held against all products in float64."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ray_jobs.cli import main
from ray_jobs.explanations.explain_flags import ExplainFlags
from ray_jobs.explanations.explain_plan import plan_explanations
from scoring.data.versions import load_version
from scoring.representers.layer_rows import LayerRows, gather_rows
from scoring.runs.at_rest import load_layer
from scoring.runs.record import load_model, load_record
from scoring.store.keys import Split
from scoring.store.storage import Storage
from scoring.tables import Store

DIGITS = ("--limit-train", "300", "--limit-test", "120", "--shard-rows", "100")
Explain = Callable[..., int]


@pytest.fixture(scope="module")
def published(in_process: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with two metrics of digits."""
    store = str(tmp_path_factory.mktemp("explain") / "store")
    flags = ("--store", store, "--recipe", "smoke", "--batch-rows", "50", *DIGITS)
    assert main(["rescore", *flags, "--metrics", "msp", "gradient_norm", "representer_self"]) == 0
    return store


@pytest.fixture
def explain(published: str, tmp_path: Path) -> Explain:
    def run(*flags: str) -> int:
        page = str(tmp_path / "explain.html")
        flags = ("--store", published, "--page", page, "--batch-rows", "50", *flags)
        return main(["explain", *flags])

    return run


def rows_of(storage: Storage, model: dict[str, str], layer: str, split: Split) -> LayerRows:
    version = load_version(storage, "digits", split, model[f"{split}_version"])
    return gather_rows(storage, model["base_run"], layer, version, memory=1 << 30)


def only_model(store: str, layer: str) -> dict[str, str]:
    (model,) = (m for m in Store(store).representer_models().to_pylist() if m["layer"] == layer)
    return model


@pytest.mark.parametrize(("layer", "name"), [("last", "10"), ("7", "7")])
def test_points_are_those_of_all_products(
    explain: Explain, published: str, layer: str, name: str
) -> None:
    assert explain("-k", "4", "--layer", layer) == 0
    storage, model = Storage(published), only_model(published, name)
    assert model["gradient_norm"] < 1e-8
    assert max(model["residual_train"], model["residual_test"]) < 1e-3
    table = Store(published).representers(run=model["run"]).to_pylist()
    assert len({row["test_id"] for row in table}) == 120

    rest, _ = load_layer(storage, load_record(storage, model["run"]))
    train, test = (rows_of(storage, model, layer, split) for split in ("train", "test"))
    targets = rest.loss.activation(torch.from_numpy(train.outputs[:]))
    alpha = rest.alpha(torch.from_numpy(train.features[:]), targets).numpy()
    products = test.features[:].astype(float) @ train.features[:].astype(float).T
    for row in table:
        t = int(np.flatnonzero(test.ids == row["test_id"])[0])
        assert row["class"] == row["predicted"] == test.outputs[t : t + 1].argmax()
        pulls = row["sign"] * products[t] * alpha[:, row["class"]]
        assert row["sign"] * row["value"] == pytest.approx(-np.sort(-pulls)[row["rank"]], rel=1e-9)
        i = int(np.flatnonzero(train.ids == row["train_id"])[0])
        assert row["sign"] * row["value"] == pytest.approx(pulls[i], rel=1e-9)
        assert row["value"] == pytest.approx(row["alpha"] * row["similarity"], rel=1e-12)
        assert row["train_label"] == train.labels[i]


def test_examples_by_id_then_from_the_store(
    explain: Explain, published: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--ids", "7", "115", "--lambda", "0.01", "-k", "3", "--class", "all")
    assert explain(*flags) == 0
    said = capsys.readouterr().out
    assert "Layer 10 of run " in said
    (run,) = {
        m["run"] for m in Store(published).representer_models().to_pylist() if m["penalty"] == 0.01
    }
    table = Store(published).representers(run=run)
    assert sorted(set(table["test_id"].to_pylist())) == [7, 115]
    assert sorted(set(table["class"].to_pylist())) == list(range(10))
    assert explain(*flags) == 0
    again = capsys.readouterr().out
    assert "Nothing to compute: everything is in the store." in again
    assert again.splitlines()[2:] == said.splitlines()[1:]

    assert explain("--ids", "7", "9", "--lambda", "0.01", "-k", "2") == 0
    merged = Store(published).representers(run=run).to_pylist()
    kept = {(row["test_id"], row["class"]) for row in merged}
    assert {c for t, c in kept if t == 115} == set(range(10))
    assert len({c for t, c in kept if t == 7}) == 1
    assert any(t == 9 for t, _ in kept)


def test_the_page_shows_what_is_asked_for(
    explain: Explain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain("--ids", "3", "8", "-k", "2", "--smooth", "2") == 0
    assert f"Drawn in {tmp_path / 'explain.html'}" in capsys.readouterr().out
    page = (tmp_path / "explain.html").read_text()
    assert page.count('<section class="example"') == 2
    # Each example, its four points and a map of each.
    assert page.count('src="data:image/webp;base64,') == 2 * (1 + 4 + 4)
    assert 'src=""' not in page


def test_what_is_misclassified(
    explain: Explain, published: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain("--misclassified", "--targets", "labels") == 0
    storage = Storage(published)
    (model,) = (
        m for m in Store(published).representer_models().to_pylist() if m["targets"] == "labels"
    )
    test = rows_of(storage, model, "last", "test")
    wrong = test.ids[test.outputs[:].argmax(axis=1) != test.labels]
    table = Store(published).representers(run=model["run"]).to_pylist()
    assert {row["test_id"] for row in table} == {*wrong.tolist()}
    assert f"{len(wrong)} examples explained" in capsys.readouterr().out


def test_self_influence_is_alpha_of_the_own_class(explain: Explain, published: str) -> None:
    assert explain("--ids", "0", "--targets", "labels") == 0
    storage = Storage(published)
    (model,) = (
        m for m in Store(published).representer_models().to_pylist() if m["targets"] == "labels"
    )
    record = load_record(storage, model["run"])
    rest, _ = load_layer(storage, record)
    train = rows_of(storage, model, "last", "train")
    hot = torch.nn.functional.one_hot(torch.from_numpy(train.labels), 10)
    alpha = rest.alpha(torch.from_numpy(train.features[:]), hot).numpy()
    own = dict(zip(train.ids.tolist(), np.abs(alpha[np.arange(300), train.labels]), strict=True))
    scores = Store(published).scores(split="train", metric="representer_self")
    for row in scores.to_pylist():
        assert row["value"] == pytest.approx(own[row["example_id"]], rel=1e-4)
    # The run's net is the base net with that layer in it.
    net = load_model(storage, record, "cpu").net
    torch.testing.assert_close(net[-1].bias, rest.weights[:, -1].float())


def test_evaluate_representers(published: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--store", published, "--lambdas", "0.01", "0.0001", "--tests", "40")
    assert main(["evaluate", "representers", *flags, "--batch-rows", "50"]) == 0
    found = {
        (row["subject"], row["part"], row["measure"]): row["value"]
        for row in Store(published).evaluations(evaluation="representers").to_pylist()
    }
    near, far = (found[f"lambda {penalty}", "train", "pearson"] for penalty in ("0.0001", "0.01"))
    assert 1 > near > far > 0.5
    assert found["lambda 0.01", "test", "residual"] < 1e-3
    assert 0 <= found["influence", "", "nothing_said"] <= 1
    assert found["representer", "", "seconds_each"] > 0
    assert "lambda 0.0001" in capsys.readouterr().out


@pytest.mark.parametrize(("flags", "example"), [((), None), (("--example", "115"), 115)])
def test_evaluate_representers_draws_an_example(
    published: str, flags: tuple[str, ...], example: int | None
) -> None:
    command = ["evaluate", "representers", "--store", published, "--lambdas", "0.01"]
    assert main([*command, "--tests", "40", "--batch-rows", "50", *flags]) == 0
    found = {
        (row["subject"], row["measure"]): (row["part"], row["value"])
        for row in Store(published).evaluations(evaluation="representers_example").to_pylist()
    }
    plan = plan_explanations(ExplainFlags(store=published, penalty=0.01))
    rest, _ = load_layer(plan.storage, load_record(plan.storage, plan.run.key))
    train, test = (
        gather_rows(plan.storage, plan.base.key, "last", plan.versions[split], memory=1 << 30)
        for split in ("train", "test")
    )
    predicted = rest.outputs(torch.from_numpy(test.features[:])).argmax(dim=1).numpy()
    if example is None:
        example = int(test.ids[:40][predicted[:40] != test.labels[:40]][0])
    t = int(np.flatnonzero(test.ids == example)[0])
    c = int(predicted[t])
    assert found[f"test {example}", "predicted"] == (str(c), c)
    assert found[f"test {example}", "label"] == (str(test.labels[t]), test.labels[t])
    targets = rest.loss.activation(torch.from_numpy(train.outputs[:]))
    alpha = rest.alpha(torch.from_numpy(train.features[:]), targets).numpy()[:, c]
    values = alpha * (train.features[:].astype(float) @ test.features[t].astype(float))
    away = np.linalg.norm(train.features[:].astype(float) - test.features[t], axis=1)
    for i, train_id in enumerate(train.ids):
        part, value = found[f"train {train_id}", "representer"]
        assert part == str(train.labels[i])
        assert value == pytest.approx(values[i], rel=1e-4, abs=1e-7)
        assert found[f"train {train_id}", "distance"][1] == pytest.approx(away[i], rel=1e-5)
    assert len(found) == 2 + 3 * len(train.ids)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--example", "120"), "--example: expected ids of the test split's 120 examples, got 120"),
        (("--example", "-1"), "--example: expected ids of the test split's 120 examples, got -1"),
        (("--tests", "0"), "--tests: expected a number above 0, got 0"),
        (("--lambdas", "0"), "--lambdas: expected numbers above 0, got (0.0,)"),
    ],
)
def test_evaluate_representers_refuses(
    published: str, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], complaint: str
) -> None:
    assert main(["evaluate", "representers", "--store", published, *flags]) == 2
    said = capsys.readouterr()
    assert said.err == f"protoscore: error: {complaint}\n"
    assert not said.out


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--ids", "120"), "--ids: expected ids of the test split's 120 examples, got 120"),
        (("--ids", "1", "--misclassified"), "--misclassified: expected it without --ids, got both"),
        (("--confused", "1", "cat"), "--confused: expected one of 0, 1, "),
        (("--layer", "conv"), "--layer: expected one of 10, 7, last, got 'conv'"),
        (("--layer", "7", "--targets", "labels"), "--targets: expected anything else with"),
        (("--layer", "7", "--class", "label"), "--class: expected anything else with --layer 7"),
        (("--run", "zzz"), "--run: expected base, or the first digits of one run's key, got 'zzz'"),
        (("--lambda", "0"), "--lambda: expected a number above 0, got 0"),
        (("--k", "0"), "--k: expected a number above 0, got 0"),
        (("--dataset", "nosuch"), "--dataset: expected one of digits, got 'nosuch'"),
    ],
)
def test_bad_input(
    explain: Explain, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], complaint: str
) -> None:
    assert explain(*flags) == 2
    said = capsys.readouterr()
    assert f"protoscore: error: {complaint}" in said.err
    assert said.err.count("\n") == 1
