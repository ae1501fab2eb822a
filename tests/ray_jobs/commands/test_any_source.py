"""Whatever Parquet files `ingest` is given, the answer is a code and a line, and it comes soon."""

import io
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import say
from fuzzing import cases, check_answer, files_below, noise_of, time_limit
from parquet_files import TYPES, broken_footer, changed_table, values_of
from PIL import Image

CASES = cases(60)
FLAGS = ("--dataset", "parquet", "--train", "train.parquet", "--test", "test.parquet")
KINDS = {
    "images": (),
    "named images": ("--class-names", "a", "b", "c", "--id-column", "id", "--max-corrupt", "1"),
    "texts": ("--text-column", "text", "--id-column", "id"),
    "resized": ("--image-size", "4x4", "--channels", "3", "--shard-rows", "3"),
}


def png(noise: random.Random) -> bytes:
    """An image as users have them, or what only looks like one."""
    mode = noise.choice(["L", "L", "L", "RGB", "RGBA", "P", "1", "I;16", "LA"])
    size = noise.choice([(8, 8), (8, 8), (8, 8), (1, 1), (8, 9), (3000, 1)])
    sink = io.BytesIO()
    Image.new(mode, size).save(sink, noise.choice(["PNG", "PNG", "TIFF"]))
    data = sink.getvalue()
    at = noise.randrange(len(data))
    return noise.choice(
        [data, data, data, data[:at], b"", b"GIF89a", data[:at] + b"\0" + data[at:]]
    )


def rows(noise: random.Random, usual: bool) -> pa.Table:
    """A few rows, as they should be or with images of all kinds."""
    n = noise.choice([0, 1, 5, 12])
    image = io.BytesIO()
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(image, "PNG")
    images = [image.getvalue() if usual else png(noise) for _ in range(n)]
    texts = [noise.choice(["a b", "", "<br>", "💥"]) for _ in range(n)]
    return pa.table(
        {
            "image": pa.array(images, pa.binary()),
            "label": pa.array([noise.randrange(3) for _ in range(n)], pa.int64()),
            "text": pa.array(texts, pa.string()),
            "id": pa.array([f"row {i}" for i in range(n)], pa.string()),
        }
    )


def file(noise: random.Random) -> tuple[bytes, str]:
    """Return a Parquet file, and what is odd about it."""
    sink = io.BytesIO()
    pq.write_table(
        rows(noise, usual=noise.random() < 0.7), sink, row_group_size=noise.choice([1, 5, 99])
    )
    data = sink.getvalue()
    way = noise.choice(["as it is", "footer", "bytes", "retyped", *4 * ["table"]])
    if way == "footer":
        return broken_footer(data, "", noise), way
    if way == "bytes":
        at = noise.randrange(len(data))
        return noise.choice([data[:at], data[at:], data[:at] + b"\xff" + data[at + 1 :], b""]), way
    if way == "as it is":
        return data, way
    if way == "retyped":
        name = noise.choice(["image", "label", "text", "id"])
        kind = noise.choice(TYPES)
        table = pq.read_table(io.BytesIO(data))
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, values_of(kind, len(table), noise))
        way, options = f"{name} as {kind}", {}
    else:
        table, way, options = changed_table(data, noise)
    sink = io.BytesIO()
    pq.write_table(table, sink, store_schema=noise.random() < 0.8, **options)
    return sink.getvalue(), way


@pytest.mark.parametrize("kind", KINDS)
def test_any_parquet_file_is_answered(kind, tmp_path, monkeypatch, in_process):
    noise = noise_of(kind)
    monkeypatch.chdir(tmp_path)
    for case in range(CASES):
        names = noise.choice([("train",), ("test",), ("train", "test")])
        odd = {}
        for name in ("train", "test"):
            sink = io.BytesIO()
            pq.write_table(rows(random.Random(3), usual=True), sink)
            data, odd[name] = file(noise) if name in names else (sink.getvalue(), "as usual")
            (tmp_path / f"{name}.parquet").write_bytes(data)
        before = files_below(tmp_path)
        store = f"store{case}"
        what = (kind, odd, case)
        with time_limit(what):
            said = say("ingest", "--store", store, *FLAGS, *KINDS[kind])
        check_answer(what, said.code, said.out, said.err)
        written = set(files_below(tmp_path)) - set(before)
        assert all(path.startswith(f"{store}/") for path in written), what
        assert not [path for path in written if path.endswith(".partial")], what
