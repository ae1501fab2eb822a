"""CSV for spreadsheets: a cell that begins like a formula is made text, so that nothing runs it."""

import pyarrow as pa
import pyarrow.compute as pc

# What spreadsheets take for a formula, full-width signs included (OWASP, "CSV Injection").
_FORMULA = r"^[=+\-@\t\r\n＝＋－＠]"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def without_formulas(table: pa.Table) -> pa.Table:
    """Put an apostrophe before text, and names of columns, that a spreadsheet would run.

    Numbers stay numbers, also those that a column of text holds.
    """
    names = [_quoted(pa.array([name])).to_pylist()[0] for name in table.column_names]
    columns = [
        _quoted(column) if _is_text(column.type) else column for column in table.itercolumns()
    ]
    return pa.table(columns, names=names)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in tests)


def _quoted(text: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    text = text.cast(pa.string())
    formula = pc.match_substring_regex(text, _FORMULA)
    number = pc.match_substring_regex(text, _NUMBER)
    quoted = pc.binary_join_element_wise("'", text, "")
    return pc.if_else(pc.and_not(formula, number), quoted, text)
