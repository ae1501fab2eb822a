"""Peak memory of a process that ingests and loads a dataset much larger than its shards."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from image_files import encode, write_parquet

SIDE, ROWS, SHARD = 192, 5000, 100
PIXELS = SIDE * SIDE * ROWS  # 184 MB
MB = 1 << 20

SCRIPT = """
import json, sys
import numpy as np
from ingest_here import ingest, parquet
from scoring.data.versions import load_training_set
from scoring.store.storage import Storage

train, test, folder = sys.argv[1:]

def peak():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) << 10

def forget_peak():
    open("/proc/self/clear_refs", "w").write("5")

source, warm = parquet(train, test, shard_rows=100), Storage(folder + "/warm")
load_training_set(warm, ingest(source, warm, train=200, test=1)["train"])  # imports, allocators

storage = Storage(folder + "/store")
forget_peak()
before = peak()
version = ingest(source, storage, test=1)["train"]
ingested = peak() - before

shape = (version.rows, *version.shape.dims)
into = np.lib.format.open_memmap(folder + "/images.npy", "w+", np.uint8, shape)
forget_peak()
before = peak()
load_training_set(storage, version, into=into)
print(json.dumps([len(version.shards), ingested, peak() - before, into.nbytes]))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_only_a_few_shards_are_in_memory_at_once(tmp_path):
    """50 shards of 3.7 MB in one row group; image files are uncompressed, as large as pixels."""
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (SIDE, SIDE), dtype=np.uint8) for _ in range(50)]
    files = [encode(image, "bmp") for image in noise]
    schema = pa.schema([("image", pa.binary()), ("label", pa.int64())])
    # Arrow checks a page's size only once per write batch, and a page is always read whole.
    options = {"use_dictionary": False, "write_batch_size": 16}
    with pq.ParquetWriter(tmp_path / "train.parquet", schema, **options) as writer:
        columns = {"image": [files[i % 50] for i in range(ROWS)], "label": [0, 1] * (ROWS // 2)}
        writer.write_table(pa.table(columns, schema), row_group_size=ROWS)
    test = write_parquet(tmp_path / "test.parquet", files[:2], [0, 1])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "train.parquet"), test, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shards, ingested, loaded, mapped = json.loads(done.stdout)
    assert (shards, mapped) == (ROWS // SHARD, PIXELS)
    # A shard as images, as a table and as a file, plus columns read 8 MB ahead: about 60 MB.
    assert ingested < 110 * MB, f"{ingested / MB:.0f} MB to ingest"
    # The pages of the memory map are the result; on top comes one shard, as a file and decoded.
    assert loaded - mapped < 40 * MB, f"{(loaded - mapped) / MB:.0f} MB on top of the result"
