"""What all tests with random input share: how many cases, hostile values, what counts as an answer.

`PROTOSCORE_FUZZ_CASES` sets the cases of each test, `PROTOSCORE_FUZZ_SEED` makes them others.
"""

import copy
import json
import os
import random
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scoring.store.outages import known

LIMIT_S = 120  # for one command line; most take a tenth of a second, on a machine of their own
EXIT_CODES = {0, 2, 3, 4, 5}
VALUES = (
    *("", " ", "-", "--", "-1", "0", "1", "2", "7", "1000000", "9" * 400, "0.5", "-0.5", "1e309"),
    *("nan", "inf", "-inf", "0x10", "٣", "1_000", "1,2", "True", "None", "null", "{}", "[]", "()"),
    *("é", "💥", "\udcff", "\u202e", "\x1b[31m", "a\nb", "a\tb", "a b", "x" * 5000, "%s%n", "{0}"),
    *(
        "../..",
        ".",
        "..",
        "/dev/null",
        "/dev/null/x",
        "/proc/self/x",
        "~",
        "no/such/file",
        "*",
        "?",
    ),
    *("'; drop table scores; --", "$(id)", "`id`", "a=b", "a/b", "a:b", "os:system", "json:loads"),
    *("s3://", "s3://key:secret@bucket/x", "s3:///x", "file://", "gs://b/x", "://", "x://y"),
    *("2026-03-31", "2026-13-45", "2026-03-31T06:00", "1970-01-01T00:00+99:99", "0001-01-01", "T"),
    *("digits", "parquet", "image_folder", "conf", "agr", "vog", "train", "test", "mlp", "smoke"),
    *("store", "file", "folder", "json", "csv", "parquet", "select 1", "from scores", "deciles"),
)
"""Strings that have broken programs, and words that mean something here."""
NUMBERS = (
    *(0, -1, 1, 2, 3, 255, 2**31, -(2**31) - 1, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**30),
    *(0.5, -0.0, 1e-320, 1e18, 1e308, float("nan"), float("inf"), float("-inf")),
)


def cases(default: int) -> int:
    """How many cases a test tries."""
    return int(os.environ.get("PROTOSCORE_FUZZ_CASES", default))


def noise_of(name: str) -> random.Random:
    """Random choices of a test, the same ones each time."""
    return random.Random(name + os.environ.get("PROTOSCORE_FUZZ_SEED", ""))


class TooLong(BaseException):
    """A case takes too long; no handler of errors takes it for one of its own."""


@contextmanager
def time_limit(case: object) -> Iterator[None]:
    """Fail if a block takes longer than `LIMIT_S`."""

    def too_long(*_: object) -> None:
        raise TooLong(f"{case}: expected an answer within {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check_answer(case: object, code: int, out: str, err: str, files: int = 1) -> None:
    """Check that a command answered with a code and, if it refused, why in one line.

    Of `files` that people send, all of them bad, each is named in a line of its own.
    """
    assert code in EXIT_CODES, (case, code, err)
    assert "Traceback" not in err + out, (case, err)
    assert code == 0 or err.strip(), case
    if code in (2, 5):
        errors = [line for line in err.splitlines() if line.startswith("protoscore: error: ")]
        of_files = all(line.startswith("protoscore: error: --import ") for line in errors)
        assert len(errors) == (files if of_files else 1), (case, err)
        assert len(errors[0]) < 10_000, (case, errors[0][:500])


def check_refusal(case: object, error: Exception) -> None:
    """Check that an error is one of ours, in one line that names what is wrong."""
    ours = known(error)
    assert ours is not None, (case, "".join(traceback.format_exception(error)))
    assert ours.exit_code in (2, 5), (case, error)
    assert len(str(ours)) < 10_000, (case, str(ours)[:500])


def mutated(value: Any, noise: random.Random) -> Any:
    """Return a copy of a JSON value with one to three changes somewhere in it."""
    value = copy.deepcopy(value)
    for _ in range(noise.choice([1, 1, 1, 2, 3])):
        value = _mutated_once(value, noise)
    return value


def _mutated_once(value: Any, noise: random.Random) -> Any:
    places = list(_places(value))
    if not places or noise.random() < 0.02:
        return hostile(noise)
    holder, key = noise.choice(places)
    change: Callable[[Any, Any, random.Random], None] = noise.choice(_CHANGES)
    change(holder, key, noise)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (holder, key) of everything in a value."""
    keys = value if isinstance(value, dict) else range(len(value)) if _is_list(value) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def hostile(noise: random.Random) -> Any:
    """Return a JSON value of any type."""
    return noise.choice(
        [
            lambda: noise.choice(VALUES),
            lambda: noise.choice(NUMBERS),
            lambda: noise.choice([None, True, False, [], {}, [[]], [None], {"": None}, [{}], ""]),
            lambda: [noise.choice(VALUES) for _ in range(noise.randrange(4))],
            lambda: [noise.choice(NUMBERS) for _ in range(noise.randrange(4))],
            lambda: {noise.choice(VALUES): noise.choice(NUMBERS)},
            lambda: nested(noise.choice([3, 200])),
        ]
    )()


def nested(depth: int) -> Any:
    """Return lists in lists."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def _replace(holder: Any, key: Any, noise: random.Random) -> None:
    holder[key] = hostile(noise)


def _nudge(holder: Any, key: Any, noise: random.Random) -> None:
    """Change a value a little, keeping its type where that is possible."""
    value = holder[key]
    if isinstance(value, bool) or value is None:
        holder[key] = not value
    elif isinstance(value, int | float):
        holder[key] = noise.choice([value + 1, value - 1, -value, value * 1000, *NUMBERS])
    elif isinstance(value, str):
        at = noise.randrange(len(value) + 1)
        holder[key] = value[:at] + noise.choice(VALUES) + value[noise.choice([at, at + 1]) :]
    elif isinstance(value, list):
        holder[key] = noise.choice([value * 2, value[1:], value[::-1], value[:1] * 50])
    else:
        holder[key] = dict(list(value.items())[1:])


def _remove(holder: Any, key: Any, noise: random.Random) -> None:
    del holder[key]


def _rename(holder: Any, key: Any, noise: random.Random) -> None:
    if isinstance(holder, dict):
        holder[noise.choice(VALUES)] = holder.pop(key)
    else:
        holder.insert(key, hostile(noise))


def _wrap(holder: Any, key: Any, noise: random.Random) -> None:
    holder[key] = noise.choice([[holder[key]], {"value": holder[key]}, json.dumps(holder[key])])


def _swap(holder: Any, key: Any, noise: random.Random) -> None:
    other = noise.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    holder[key], holder[other] = holder[other], holder[key]


_CHANGES = (_replace, _replace, _nudge, _nudge, _nudge, _remove, _rename, _wrap, _swap)


def broken_text(text: bytes, noise: random.Random) -> bytes:
    """Return JSON text that is damaged or odd as a text."""
    at = noise.randrange(len(text) + 1)
    return noise.choice(
        [
            lambda: b"",
            lambda: text[:at],
            lambda: text[:at] + noise.randbytes(3) + text[at:],
            lambda: text[:at] + text[at + noise.randrange(9) :],
            lambda: b"\xef\xbb\xbf" + text,
            lambda: text.decode().encode(noise.choice(["utf-16", "utf-32", "utf-16-le"])),
            lambda: text + text,
            lambda: b"[" * 200_000,
            lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
            lambda: text[:1] + b'"runs": 1, "key": 2, "night": 3,' + text[1:],
            lambda: b"\0" * len(text),
            lambda: text.replace(b'"', b"'"),
            lambda: text.replace(b":", b": 1e400 ,", 1),
            lambda: text.replace(b": ", b": " + b"9" * 5000 + b", ", 1),
            lambda: noise.choice([b"null", b"1", b"[]", b"{}", b'"x"', b"NaN", b"true", b" \n"]),
        ]
    )()


def files_below(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Describe everything below a folder, to tell whether anything was written."""
    return {
        str(path.relative_to(folder)): (found.st_ino, found.st_size, found.st_mtime_ns)
        for path in folder.rglob("*")
        if not (found := path.lstat()).st_mode & 0o040000
    }
