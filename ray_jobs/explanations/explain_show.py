"""What `explain` says: points of the examples asked for, or what many of them have in common."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

import numpy as np
import pyarrow as pa

from ray_jobs.explanations.explain_flags import ExplainFlags
from ray_jobs.explanations.explain_page import contents, explanation_page
from ray_jobs.explanations.explain_plan import ExplainPlan
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
    """Print, and draw the examples of --ids."""
    uris = [f"{plan.storage.uri}/{path}" for path in staged]
    views = {"points": lambda: sql.files_sql(uris, REPRESENTERS)}
    names = _names(plan)
    row = plan.model_row()
    about = (
        f"Layer {row.layer} of run {plan.base.key[:8]} at rest on {row.rows:,} examples: "
        f"shares add up to its outputs within {row.residual_test:.1g}, and give what it should "
        f"give with a correlation of {row.pearson_test:.4f}"
    )
    print(about)
    if plan.question.ids:
        ids = ", ".join(map(str, plan.question.ids))
        points = sql.run(plan.storage, _POINTS.format(ids=ids, **names), views)
        print(as_text(_with_texts(plan, points)), end="")
        page = explanation_page(plan, points.to_pylist(), about, flags.smooth)
        write_whole(Path(flags.page), page.encode(), "--page")
        print(f"To look at: {flags.page}")
        return
    (count,) = sql.run(plan.storage, _COUNT, views)["examples"].to_pylist()
    common = sql.run(plan.storage, _COMMON.format(n=_COMMONEST, **names), views)
    print(f"{count:,} examples explained. Most often among their strongest points:")
    print(as_text(common), end="")


def _with_texts(plan: ExplainPlan, points: pa.Table) -> pa.Table:
    """Points with how their training texts begin; images have nothing to print."""
    version = plan.versions["train"]
    if not isinstance(version.shape, TextShape):
        return points
    trains = points["train_id"].to_numpy()
    texts = contents(plan, version, np.unique(trains))
    begin = [shorten(str(texts[i]), _SHOWN_CHARACTERS) for i in trains.tolist()]
    return points.append_column("train_text", pa.array(begin))


def _names(plan: ExplainPlan) -> dict[str, str]:
    """SQL for the columns that hold classes, by name where the layer's outputs are classes."""
    classes = ", ".join(map(sql.quoted, plan.explained.classes))

    def named(column: str) -> str:
        return f"list_extract([{classes}]::varchar[], {column} + 1)"

    of_layer = named if plan.gives_classes else str
    return {
        "label": named("points.label"),
        "train_label": named("points.train_label"),
        "predicted": of_layer("points.predicted"),
        "output": of_layer('points."class"'),
    }
