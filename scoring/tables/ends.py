"""SQL for the two ends of a ranking."""

from collections.abc import Sequence
from typing import Literal

from scoring.tables.sql import quoted

Order = Literal["asc", "desc"]
"""Order of ranks: "asc" for outliers first, "desc" for prototypes first."""

_QUERY = """
    select rank, example_id, name,
           label, list_extract({classes}, label + 1) as label_name,
           list_extract({classes}, given_label + 1) as given_label_name,
           predicted, list_extract({classes}, predicted + 1) as predicted_name,
           value, class_z, status, percentile, class_percentile
    from scores
    where rank is not null {and_label}
    order by rank {order}
    limit {n:d}
"""


def end_sql(order: Order, n: int, classes: Sequence[str], label: int | None = None) -> str:
    """Return a query over `scores` for the first n ranks.

    Args:
        order: which end comes first.
        n: maximum number of rows.
        classes: class names in the order of labels.
        label: index of the only class to return; None: all classes.
    """
    return _QUERY.format(
        classes=f"[{', '.join(map(quoted, classes))}]::varchar[]",
        and_label="" if label is None else f"and label = {label:d}",
        order=order,
        n=n,
    )
