from report_store import run_row

from scoring.report.run_table import group_runs


def test_runs_are_grouped_by_kind_and_split_in_a_fixed_order():
    runs = [
        run_row("n", "i", kind="imported"),
        run_row("n", "p8", kind="private", epsilon_target=8.0),
        run_row("n", "t", split="test"),
        run_row("n", "wide", width=2.0, seed=0),
        run_row("n", "p1", kind="private", epsilon_target=1.0),
        run_row("n", "seed1", seed=1),
        run_row("n", "seed0", seed=0),
        run_row("n", "later", kind="distilled"),
    ]
    groups = group_runs(runs)
    assert [(g.kind, g.split, [r["run_key"] for r in g.runs]) for g in groups] == [
        ("plain", "train", ["seed0", "seed1", "wide"]),
        ("plain", "test", ["t"]),
        ("private", "train", ["p1", "p8"]),
        ("imported", "train", ["i"]),
        ("distilled", "train", ["later"]),
    ]


def test_means_skip_missing_values():
    rows = [
        run_row("n", "a", test_accuracy=0.8, seconds=2.0, reused=True),
        run_row("n", "b", test_accuracy=0.9, seconds=None, net="mlp"),
        run_row("n", "c", test_accuracy=None, seconds=1.0),
    ]
    (group,) = group_runs(rows)
    assert abs(group.mean("test_accuracy") - 0.85) < 1e-12
    assert group.mean("epsilon_spent") is None
    assert (group.seconds, group.reused, group.nets) == (3.0, 1, ["mlp", "small_cnn"])
