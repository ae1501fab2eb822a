import pyarrow as pa
import pytest

from scoring.formulas import without_formulas


@pytest.mark.parametrize("cell", ["=1+1", "+x", "-x", "@x", "\tx", "\rx", "\nx", "＝1", "-1 2"])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(cell):
    table = pa.table({"a": [cell, None, f"a{cell}"], "b": pa.array([cell] * 3).dictionary_encode()})
    assert without_formulas(table).to_pydict() == {
        "a": [f"'{cell}", None, f"a{cell}"],
        "b": [f"'{cell}"] * 3,
    }


def test_numbers_stay_numbers():
    columns = {"a": [-1.5, -2.0], "b": [-1, None], "c": ["-1", "+2.5e-3"], "d": [True, False]}
    table = pa.table(columns)
    assert without_formulas(table).equals(table)


def test_names_of_columns_are_cells_too():
    assert without_formulas(pa.table({"=a": [1], "b": [2]})).column_names == ["'=a", "b"]


def test_a_table_without_rows_keeps_its_columns():
    table = pa.table({"a": pa.array([], pa.string()), "b": pa.array([], pa.int64())})
    assert without_formulas(table).equals(table)
