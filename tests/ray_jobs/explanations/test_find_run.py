import pytest

from ray_jobs.explanations.explain_plan import find_run
from scoring import registry
from scoring.errors import UserError
from scoring.spec import Signal
from scoring.store.storage import Storage


def test_without_a_base_model_the_metrics_that_train_one_are_listed(tmp_path):
    with pytest.raises(UserError, match="--run: expected the base model") as caught:
        find_run(Storage(str(tmp_path)), "base", base="")
    for name, spec in registry.metrics().items():
        if spec.signal is Signal.BASE:
            assert name in str(caught.value)
