"""Published scores and their examples, in the formats of other tools."""

from scoring.exports.cleanlab import LABEL_ISSUES, check_judged, label_issues
from scoring.exports.corrections import CORRECTIONS
from scoring.exports.csv import CSV, RAW_CSV
from scoring.exports.fiftyone import FIFTYONE
from scoring.exports.format import Format
from scoring.exports.huggingface import HUGGINGFACE
from scoring.exports.label_studio import LABEL_CONTROL, VERDICT_CONTROL, write_label_studio
from scoring.exports.parquet import PARQUET
from scoring.exports.selection import Selection, select

__all__ = [
    "CORRECTIONS",
    "CSV",
    "FIFTYONE",
    "HUGGINGFACE",
    "LABEL_CONTROL",
    "LABEL_ISSUES",
    "PARQUET",
    "RAW_CSV",
    "VERDICT_CONTROL",
    "Format",
    "Selection",
    "check_judged",
    "label_issues",
    "select",
    "write_label_studio",
]
