"""One flipped bit, anywhere in a file: readers notice, or read what was written."""

from collections import Counter
from pathlib import Path

import pytest
from damage import KINDS, build_interrupted, build_published, copy, find, flip, some_bits
from in_process import jobs_in_process
from readers import READ

from scoring.errors import BadStore, Damaged
from scoring.store.storage import Storage
from scoring.tables import log_check

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
FLIPS = 150


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("stores")
    published, interrupted = root / "published", root / "interrupted"
    with jobs_in_process(), pytest.MonkeyPatch.context() as patch:
        build_interrupted(interrupted, patch)
        build_published(published, interrupted)
    return [published, interrupted]


def test_every_kind_has_a_reader() -> None:
    assert READ.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_noticed_or_harmless(
    stores: list[Path], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published = next(store for store in stores if find(store, kind))
    store = tmp_path / "store"
    copy(published, store)
    file = find(store, kind)
    assert file is not None
    path, data = str(file.relative_to(store)), file.read_bytes()
    want = READ[kind](Storage(str(store)), path)
    found: Counter[str] = Counter()
    for bit in some_bits(file, FLIPS):
        flip(file, bit)
        log_check._checked.clear()  # a process checks an entry once
        try:
            got = READ[kind](Storage(str(store)), path)
            found["harmless" if got == want else "unnoticed"] += 1
        except (Damaged, BadStore):
            found["noticed"] += 1
        file.write_bytes(data)
    with capsys.disabled():
        print(f"\n{kind:<20} {dict(found)}", flush=True)
    assert not found["unnoticed"]
    assert found["noticed"]
