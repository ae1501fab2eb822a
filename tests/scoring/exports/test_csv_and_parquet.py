import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from awkward import BROKEN, UNNAMED

from scoring.exports import CSV, PARQUET


def test_parquet_holds_the_rows(write, selection):
    path = write(PARQUET)
    assert pq.read_table(path) == pa.concat_tables(selection.tables())
    assert pq.ParquetFile(path).num_row_groups == 5  # one for each shard, the most in memory


def test_csv_holds_the_same(write, selection):
    path = write(CSV)
    types = {field.name: field.type for field in selection.schema}
    options = pacsv.ConvertOptions(column_types=types, strings_can_be_null=True)
    read = pacsv.read_csv(path, convert_options=options)
    assert read == pa.concat_tables(selection.tables())
    lines = path.read_text().splitlines()
    assert len(lines) == 101
    assert lines[0].startswith(
        '"split","example_id","name","label","label_name","given_label_name"'
    )
    assert lines[1 + UNNAMED].startswith('"train",9,,0,"circle",')
    assert lines[1 + BROKEN].endswith(',,,,"undecodable_image"')
