from dataclasses import replace

from scoring.data.shards import ShardRecord
from scoring.registry import metric_or_prediction, metrics
from scoring.score.assignments import Assignment, RunRef, passes, score_key
from scoring.spec import Passes


def how(name, *runs, checkpoints=0):
    config = metric_or_prediction(name).config()
    return Assignment(metric=name, config=config, split="train", runs=runs, checkpoints=checkpoints)


def test_passes_are_counted_once_per_checkpoint_and_gradient():
    def on_checkpoints(name):
        return how(name, RunRef(key="a"), checkpoints=6)

    names = ["aum", "forgetting", "vog", "vog_early", "vog_logp"]
    aum, forgetting, vog, early, logp = map(on_checkpoints, names)
    assert passes([aum, forgetting]) == Passes(forward=6, backward=0)
    assert passes([vog, early, aum]) == Passes(forward=6, backward=6)
    assert passes([vog, logp]) == Passes(forward=6, backward=12)


def test_a_run_that_several_metrics_read_passes_once():
    a, b = RunRef(key="a"), RunRef(key="b")
    assert passes([how("conf", a, b), how("agr", a, b)]) == Passes(forward=2)
    assert passes([how("conf", a), how("ret", RunRef(key="c", parent="a"))]) == Passes(forward=2)


def test_metrics_of_the_model_add_up():
    a = RunRef(key="a")
    each = [metrics()[name].passes(metrics()[name].config()) for name in ("msp", "adv_l2")]
    assert passes([how("msp", a), how("adv_l2", a)]) == Passes(
        forward=sum(cost.forward for cost in each), backward=sum(cost.backward for cost in each)
    )


def test_the_split_is_in_the_key_where_it_matters_who_saw_the_shard():
    """The same rows may be both splits, with the same ids: then their shards have one record."""
    record = ShardRecord(content="c", first_id=0, rows=10, undecodable=0, trainable=10)

    def keys(name):
        one = how(name, RunRef(key="a"))
        return {score_key(replace(one, split=split), record) for split in ("train", "test")}

    assert len(keys("conf")) == len(keys("predicted")) == 1
    assert {len(keys(m.name)) for m in metrics().values() if m.reads_seen} == {2}
    assert len(keys("probabilities")) == 2
