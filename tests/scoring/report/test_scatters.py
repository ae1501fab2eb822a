from dataclasses import replace

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from scoring.report import scatters
from scoring.tables.findings import Finding


def finding(subject: str, part: str, measure: str, value: float, rows: int = 1) -> Finding:
    return Finding(subject=subject, part=part, measure=measure, value=value, rows=rows)


def of_example(label: str, predicted: str) -> list[Finding]:
    """Six of a thousand training examples, from three classes."""
    found = [
        finding("test 17", label, "label", 0, rows=1000),
        finding("test 17", predicted, "predicted", 1, rows=1000),
    ]
    for i, part in enumerate(["$x_$", "_y", "z", "$x_$", "_y", "z"]):
        numbers = {"distance": i, "influence": 10 * i, "representer": -i}
        found += [finding(f"train {i}", part, name, value) for name, value in numbers.items()]
    return found


def clouds(figure: Figure, panel: int) -> dict[str, list[tuple[float, float]]]:
    lines = figure.axes[panel].get_lines()
    return {str(line.get_label()): [*zip(*line.get_data(), strict=True)] for line in lines}


def test_training_examples_are_drawn_by_distance_and_class() -> None:
    found = of_example("$x_$", "_y")
    figure = scatters.example.__wrapped__(found)
    influence, representer = clouds(figure, 0), clouds(figure, 1)
    assert influence["label: $x_$"] == [(0, 0), (3, 30)]
    assert influence["predicted: _y"] == [(1, 10), (4, 40)]
    assert influence["other classes"] == [(2, 20), (5, 50)]
    assert representer["predicted: _y"] == [(1, -1), (4, -4)]
    svg = scatters.example(found)
    assert "Test example 17; 6 of 1,000 training examples" in svg
    assert all(f">{name}</text>" in svg for name in ("label: $x_$", "predicted: _y"))
    assert svg == scatters.example(found)


def test_a_correct_prediction_leaves_two_groups() -> None:
    drawn = clouds(scatters.example.__wrapped__(of_example("z", "z")), 0)
    assert [name for name in drawn if not name.startswith("_")] == ["other classes", "predicted: z"]
    assert drawn["predicted: z"] == [(2, 20), (5, 50)]


def test_two_metrics_are_drawn_against_each_other() -> None:
    found = [
        finding(f"example {i}", "bag", metric, value)
        for i in range(3)
        for metric, value in (("adv_l2", 10.0 * i), ("conf", 50.0 - i))
    ]
    figure = scatters.pair.__wrapped__(found)
    assert clouds(figure, 0)["examples"] == [(0, 50), (10, 49), (20, 48)]
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("adv_l2, percentile", "conf, percentile")


@pytest.fixture
def plane() -> list[Finding]:
    """Ten training points on a line, with influence that falls to nothing."""
    ways = ("representer", "influence", "influence as trained")
    found = [finding(way, "", "negligible", 0.5, rows=9) for way in ways]
    found += [finding("test 4", "class 1", name, 2.0) for name in ("x", "y")]
    for i in range(10):
        numbers = {
            "x": i,
            "y": 2 * i,
            "representer": i - 4,
            "influence": 4 - i if i < 3 else 0.1,
            "influence as trained": 0.0,
        }
        part = f"class {int(i > 5)}"
        found += [finding(f"train {i}", part, name, value) for name, value in numbers.items()]
    return found


def marked(figure: Figure, panel: int, label: str) -> list[float]:
    """The x of the points with this mark."""
    return sorted(x for x, _ in clouds(figure, panel)[label])


def test_the_plane_marks_points_that_support_and_oppose(plane: list[Finding]) -> None:
    figure = scatters.plane.__wrapped__(plane)
    assert clouds(figure, 0)["class 1"] == [(i, 2 * i) for i in range(6, 10)]
    assert marked(figure, 0, "supports") == [5, 6, 7, 8, 9]
    assert marked(figure, 0, "opposes") == [0, 1, 2, 3]
    assert marked(figure, 0, "negligible") == [4]
    assert clouds(figure, 0)["test point"] == [(2, 2)]
    # The influence of the net as trained is negligible everywhere.
    assert marked(figure, 1, "negligible") == [*range(10)]
    assert marked(figure, 1, "supports") == marked(figure, 1, "opposes") == []
    # Positive influence raises the loss.
    assert marked(figure, 2, "opposes") == [0, 1, 2]
    assert marked(figure, 2, "supports") == []


def test_clouds_are_pixels_and_marks_take_the_colours_of_the_page(plane: list[Finding]) -> None:
    svg = scatters.plane(plane)
    assert svg.count("data:image/png;base64,") > 0
    assert "currentColor" in svg
    assert "#010203" not in svg
    # Only the marks are elements of their own, however many points there are.
    points = [f for f in plane if f.subject.startswith("train")]
    more = [replace(f, subject=f"{f.subject}{copy}") for copy in range(50) for f in points]
    assert scatters.plane([*plane, *more]).count("<use") < 60


def test_a_matplotlibrc_changes_nothing(plane: list[Finding]) -> None:
    """Matplotlib reads one in the current folder when it is imported."""
    plain = scatters.plane(plane)
    with mpl.rc_context({"font.size": 30, "axes.grid": True, "text.usetex": True}):
        assert scatters.plane(plane) == plain
