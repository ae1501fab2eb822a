"""The output of `explain`: the points of requested examples, or the most frequent of many."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

import numpy as np
import pyarrow as pa

from ray_jobs.explanations.explain_flags import ExplainFlags
from ray_jobs.explanations.explain_page import contents, explanation_page
from ray_jobs.explanations.explain_plan import ExplainPlan
from ray_jobs.terminal.say import say
from ray_jobs.terminal.tables import as_text, write_whole
from scoring.data.texts import TextShape
from scoring.tables import sql
from scoring.tables.schemas import REPRESENTERS

_POINTS = """
    select test_id, {label} as label, {predicted} as predicted, {output} as "class", sign, rank,
           train_id, {train_label} as train_label, value, alpha, similarity
    from points where test_id in ({ids})
    order by test_id, points."class", sign desc, rank
"""
_COMMON = """
    select sign, train_id, {train_label} as train_label, count(*) as times,
           count(*) / (select count(distinct test_id) from points) as share,
           avg(value) as mean_value
    from points
    group by sign, train_id, points.train_label
    qualify row_number() over (partition by sign order by times desc, train_id) <= {n}
    order by sign, times desc, train_id
"""
_COUNT = "select count(distinct test_id) as examples from points"
_COMMONEST = 10
_SHOWN_CHARACTERS = 100


def show(plan: ExplainPlan, flags: ExplainFlags, staged: Sequence[str]) -> None:
    """Print the points of the examples of --ids and draw them; without ids, print a summary."""
    views = {"points": lambda: sql.files_sql(staged, REPRESENTERS)}
    columns = _class_columns(plan)
    model = plan.model_row()
    subtitle = (
        f"Layer {model.layer} of run {plan.base.key[:8]}, at rest on {model.rows:,} examples. "
        f"Shares add up to its outputs within {model.residual_test:.1g}; its outputs correlate "
        f"with its targets by {model.pearson_test:.4f}."
    )
    say(subtitle)
    if plan.question.ids:
        ids = ", ".join(map(str, plan.question.ids))
        points = sql.run(plan.storage, _POINTS.format(ids=ids, **columns), views)
        say(as_text(_with_texts(plan, points)), end="")
        rows = points.to_pylist()
        page = explanation_page(plan, rows, subtitle, flags)
        write_whole(Path(flags.page), page.encode(), "--page")
        say(f"Drawn in {flags.page}")
        return
    (count,) = sql.run(plan.storage, _COUNT, views)["examples"].to_pylist()
    common = sql.run(plan.storage, _COMMON.format(n=_COMMONEST, **columns), views)
    say(f"{count:,} examples explained. Training examples most often among the strongest points:")
    say(as_text(common), end="")


def _with_texts(plan: ExplainPlan, points: pa.Table) -> pa.Table:
    """Add a column with the start of each training text; images have nothing to print."""
    version = plan.versions["train"]
    if not isinstance(version.shape, TextShape):
        return points
    trains = points["train_id"].to_numpy()
    texts = contents(plan, version, np.unique(trains))
    starts = [shorten(str(texts[i]), _SHOWN_CHARACTERS) for i in trains.tolist()]
    return points.append_column("train_text", pa.array(starts))


def _class_columns(plan: ExplainPlan) -> dict[str, str]:
    """Return SQL for the columns that hold classes, as names unless outputs are hidden units."""
    classes = ", ".join(map(sql.quoted, plan.explained.classes))

    def named(column: str) -> str:
        return f"list_extract([{classes}]::varchar[], {column} + 1)"

    output = named if plan.gives_classes else str
    return {
        "label": named("points.label"),
        "train_label": named("points.train_label"),
        "predicted": output("points.predicted"),
        "output": output('points."class"'),
    }
