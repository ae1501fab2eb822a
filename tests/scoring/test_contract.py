"""What every metric promises. A new metric is covered as soon as it exists."""

import pickle

import numpy as np
import pytest
import torch
from apply_metric import apply, columns_of, joined, small_case

from scoring.folds.prediction import PREDICTED
from scoring.folds.probabilities import PROBABILITIES
from scoring.registry import metrics
from scoring.spec import FoldedMetric, Passes
from scoring.store.keys import digest

FOLDED = [m for m in metrics().values() if isinstance(m, FoldedMetric)]
EVERY = [*metrics().values(), PREDICTED, PROBABILITIES]
# A part may run on other kernels than the whole: sums differ in the last bits of float32.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def case():
    return small_case()


def every_metric(function):
    return pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)(function)


def assert_same(got, want, rtol=ROUNDING):
    assert got.keys() == want.keys()
    for name, column in want.items():
        if name == "status":
            assert got[name].tolist() == column.tolist()
        else:
            np.testing.assert_allclose(got[name], column, rtol=rtol, atol=1e-12, err_msg=name)


@every_metric
@pytest.mark.parametrize(
    "parts", [[range(5), range(5, 12)], [range(7, 12), [3], [0, 1, 2, 4, 5, 6]]]
)
def test_parts_make_the_whole_in_any_order(metric, case, parts):
    whole = columns_of(apply(metric, case.rows(np.concatenate(parts))))
    assert_same(joined([apply(metric, case.rows(rows)) for rows in parts]), whole)


@every_metric
def test_permuted_rows_permute_the_result(metric, case):
    order = np.random.default_rng(0).permutation(len(case.batch.ids))
    whole = {name: c[order] for name, c in columns_of(apply(metric, case)).items()}
    assert_same(columns_of(apply(metric, case.rows(order))), whole)


@every_metric
def test_twice_gives_the_same_bits_and_draws_no_random_numbers(metric, case):
    first = columns_of(apply(metric, case))
    torch.manual_seed(123)
    before = torch.get_rng_state()
    second = columns_of(apply(metric, case))
    assert torch.equal(torch.get_rng_state(), before)
    for name, column in first.items():
        assert column.tobytes() == second[name].tobytes()


@every_metric
@pytest.mark.parametrize("rows", [0, 1, 12])
def test_columns_fit_the_rows(metric, case, rows):
    named = columns_of(apply(metric, case.rows(range(rows))))
    assert all(column.shape == (rows,) for column in named.values())
    assert all(named[name].dtype == np.float64 for name in named.keys() - {"status"})
    assert np.issubdtype(named.get("status", np.array([""])).dtype, np.str_)


@every_metric
def test_every_value_is_finite_or_has_a_reason(metric, case):
    columns = apply(metric, case)
    status = np.full(12, "") if columns.status is None else columns.status
    assert (np.isfinite(columns.value) == (status == "")).all()
    assert np.isfinite(columns.value).any()
    if columns.spread is not None:
        assert (np.isfinite(columns.spread) == np.isfinite(columns.value)).all()


@every_metric
def test_the_model_is_left_as_it_was(metric):
    case = small_case()
    model = case.model
    model[0].weight.requires_grad_(False)
    model[1].eval()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    learned = [parameter.requires_grad for parameter in model.parameters()]
    apply(metric, case)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == learned
    assert all(parameter.grad is None for parameter in model.parameters())


@every_metric
def test_inputs_are_left_as_they_were(metric, case):
    images = case.batch.inputs.clone()
    outputs = case.runs.get(metric.signal, [])
    logits = [output.logits.clone() for output in outputs]
    apply(metric, case)
    assert torch.equal(case.batch.inputs, images)
    assert all(torch.equal(o.logits, z) for o, z in zip(outputs, logits, strict=True))


@pytest.mark.parametrize("metric", FOLDED, ids=lambda metric: metric.name)
def test_no_runs_are_refused(metric, case):
    with pytest.raises(ValueError, match="expected outputs of at least one run"):
        metric.fold.finish(metric.fold.start(metric.config(), case.batch, 3))


@every_metric
def test_metric_and_config_travel_to_workers(metric):
    config = metric.config()
    assert pickle.loads(pickle.dumps(config)) == config
    assert pickle.loads(pickle.dumps(metric)) == metric
    assert hash(config) == hash(metric.config())
    assert digest(config) == digest(metric.config())


@every_metric
def test_the_declaration_is_complete(metric):
    passes = metric.passes(metric.config())
    assert isinstance(passes, Passes)
    assert passes.forward > 0
    assert metric.version >= 1
    assert metric.summary
    assert len(metric.summary.splitlines()) == 1
    assert "section" in metric.source
