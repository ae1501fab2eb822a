"""Read published scores, and the metrics behind them, from Python.

    from protoscore import Store

    store = Store("s3://bucket/store")
    outliers = store.outliers("adv_l2", split="train", label="cat", n=20)
    means = store.sql("select metric, avg(value) as mean from scores group by metric")

Tables are `pyarrow.Table`s. Errors raised on purpose are `ProtoscoreError`s; a `UserError` says
what to change.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

from scoring.errors import BadStore, ProtoscoreError, UnknownName, UserError
from scoring.tables import Store

if TYPE_CHECKING:
    from scoring.registry import metrics
    from scoring.spec import Metric

__all__ = [
    "BadStore",
    "Metric",
    "ProtoscoreError",
    "Store",
    "UnknownName",
    "UserError",
    "__version__",
    "metrics",
]

__version__ = version("protoscore")

# Imported on first use, since they import torch: seconds that a reader of tables need not wait for.
_LAZY = {"Metric": "scoring.spec", "metrics": "scoring.registry"}

if not TYPE_CHECKING:  # a type checker shall know every name, and no other

    def __getattr__(name: str) -> object:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_LAZY[name]), name)
