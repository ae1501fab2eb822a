import numpy as np
import pyarrow as pa
from report_folder import unpacked

from scoring.analysis.score_table import Scores
from scoring.report.score_columns import NONE, STEPS, Statuses, lay_out, pack_rows


def scores(**columns) -> Scores:
    count = len(columns["example_id"])
    nothing = {
        "label": pa.nulls(count, pa.int32()),
        "predicted": pa.nulls(count, pa.int32()),
        "value": pa.nulls(count, pa.float64()),
        "spread": pa.nulls(count, pa.float64()),
        "status": pa.nulls(count, pa.string()),
        "rank": pa.nulls(count, pa.int64()),
        "percentile": pa.nulls(count, pa.float64()),
        "class_percentile": pa.nulls(count, pa.float64()),
    }
    given = {name: pa.chunked_array([column]) for name, column in columns.items()}
    return Scores.from_table(pa.table({**nothing, **given}))


def test_rows_are_laid_out_by_position_and_sorted_by_rank():
    published = scores(
        example_id=[7, 8, 9],
        label=pa.array([1, None, 0], pa.int32()),
        predicted=pa.array([1, 2, None], pa.int32()),
        value=[0.5, None, -2.0],
        rank=pa.array([1, None, 0], pa.int64()),
        percentile=[100.0, None, 12.3456],
        class_percentile=[50.0, None, 0.0],
        status=pa.array([None, "undecodable_image", "no_adversarial_found"]),
    )
    statuses = Statuses()
    laid = lay_out(published, np.array([3, 1, 0]), 5, statuses)
    assert laid.order.tolist() == [0, 3]
    assert laid.unranked.tolist() == [1]
    assert laid.label.tolist() == [0, NONE, NONE, 1, NONE]
    assert laid.predicted.tolist() == [NONE, 2, NONE, 1, NONE]
    np.testing.assert_equal(laid.value, [-2.0, np.nan, np.nan, 0.5, np.nan])
    assert laid.percentile.tolist() == [round(12.3456 * STEPS), NONE, NONE, 100 * STEPS, NONE]
    assert laid.spread is None
    assert laid.class_z is None
    words = [statuses.names[number] if number < 255 else None for number in laid.status]
    assert words == ["no_adversarial_found", "undecodable_image", None, "", None]
    np.testing.assert_equal(unpacked(laid.ranking())["percentile"], [6173, 50000])


def test_metrics_share_the_numbers_of_statuses():
    statuses = Statuses()
    columns = [pa.chunked_array([["a", None]]), pa.chunked_array([["b"], ["a", "b"]])]
    assert [statuses.numbers(column).tolist() for column in columns] == [[1, 0], [2, 1, 2]]
    assert statuses.names == ["", "a", "b"]
    assert statuses.numbers(pa.chunked_array([], pa.string())).tolist() == []


def test_rows_are_packed_metric_by_metric():
    def columns(value, spread, **ranked_by):
        published = scores(
            **ranked_by,
            example_id=[0, 1, 2],
            value=value,
            spread=pa.array(spread, pa.float64()),
            rank=pa.array([0, 1, 2], pa.int64()),
            percentile=[0.0, 50.0, 100.0],
        )
        return lay_out(published, np.arange(3), 3, Statuses())

    metrics = {
        "a": columns([1.0, 2.0, 3.0], [None] * 3),
        "b": columns([4.0, 5.0, 6.0], [0.5, None, 1], class_z=[-1.5, None, 0.5]),
    }
    rows = unpacked(pack_rows(metrics, slice(1, 3)))
    assert rows["value"].tolist() == [2.0, 3.0, 5.0, 6.0]
    assert rows["percentile"].tolist() == [50 * STEPS, 100 * STEPS] * 2
    assert rows["class_percentile"].tolist() == [NONE] * 4
    assert rows["status"].tolist() == [0] * 4
    np.testing.assert_equal(rows["spread"], {"b": np.array([np.nan, 1.0], np.float32)})
    np.testing.assert_equal(rows["class_z"], {"b": np.array([np.nan, 0.5], np.float32)})
