"""The page of a label review: one example at a time, decided with keys, clicks or taps.

data/review.js            what is to be checked, in order
data/checks/<n>.*         the n-th example, large
data/prototypes/<c>.*     prototypes of a class
data/explained/<n>.*      training examples that are a part of its outputs

Images are WebP files, texts are scripts.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from scoring.analysis.review_queue import Context, Point
from scoring.data.images import ImageShape, Pixels
from scoring.data.reviews import Queue
from scoring.data.some_examples import some_images, some_texts
from scoring.data.texts import TextShape
from scoring.data.versions import DatasetVersion
from scoring.report.folder import REVIEW_GENERATOR, Folder, appearing
from scoring.report.packs import TextPacking
from scoring.report.scripts import as_script
from scoring.report.templates import REVIEW_STATIC, STATIC, templates
from scoring.report.thumbnails import EXACT, Encoding, ImagePacking, choose_encoding, pack_as
from scoring.store.storage import Storage

_DATA = "data/review.js"
_LARGE = Encoding(side=640, lossless=False, quality=90)
_ACROSS = 4  # small images side by side in a file, and at most as many rows
_AT_ONCE = 50  # large images in memory
_Ids = Iterable[int]


def write_review(
    storage: Storage, queue: Queue, data: DatasetVersion, context: Context, target: str
) -> int:
    """Write the folder and return its size in bytes.

    Args:
        storage: holds the examples.
        queue: what is to be checked.
        data: the dataset version that it was drawn from.
        context: what helps to decide.
        target: a path or s3://bucket/prefix: new, empty, or an earlier review, which is replaced.

    Raises:
        UserError: the folder cannot be written.
        BadStore: a shard cannot be read.
    """
    page = (
        templates()
        .get_template("review.html.j2")
        .render(
            queue=queue,
            generator=REVIEW_GENERATOR,
            stamp=queue.id[:14],
            written_by=f"protoscore {version('protoscore')}",
        )
    )
    shared = [STATIC / name for name in ("base.css", "base.js", "files.js")]
    with appearing(target) as folder:
        folder.write("index.html", page.encode())
        for file in (*shared, *sorted(REVIEW_STATIC.iterdir())):
            folder.write(f"{file.suffix[1:]}/{file.name}", file.read_bytes())
        folder.write(_DATA, as_script(_DATA, _data(queue, data, context)))
        _write_examples(storage, queue, data, folder)
        _write_prototypes(storage, context, folder)
        _write_explained(storage, queue, context, folder)
        return folder.size


def _data(queue: Queue, data: DatasetVersion, context: Context) -> dict[str, Any]:
    shape, train = data.shape, context.prototypes_of.shape
    return {
        "queue": queue.id,
        "dataset": queue.dataset,
        "split": queue.split,
        "classes": data.classes,
        "large": None if isinstance(shape, TextShape) else _large(shape).describe(),
        "small": None if isinstance(train, TextShape) else _small(train).describe(),
        "metric": context.metric,
        "prototypes": {label: len(ids) for label, ids in context.prototypes.items()},
        "checks": [
            {
                "id": check.example_id,
                "name": check.name,
                "label": check.label,
                "suggested": check.suggested,
                "wrong": float(f"{check.wrong:.3g}"),
                "points": [_point(p) for p in context.points.get(check.example_id, ())],
            }
            for check in queue.checks
        ],
    }


def _point(point: Point) -> list[float | int]:
    return [point.output, point.train_label, float(f"{point.value:.3g}")]


def _write_examples(storage: Storage, queue: Queue, data: DatasetVersion, folder: Folder) -> None:
    write = _writer(storage, data, folder, _large)
    for first in range(0, len(queue.checks), _AT_ONCE):
        part = queue.checks[first : first + _AT_ONCE]
        numbered = enumerate(part, start=first)
        write({f"data/checks/{n}": [check.example_id] for n, check in numbered})


def _write_prototypes(storage: Storage, context: Context, folder: Folder) -> None:
    write = _writer(storage, context.prototypes_of, folder, _small)
    write({f"data/prototypes/{label}": ids for label, ids in context.prototypes.items() if ids})


def _write_explained(storage: Storage, queue: Queue, context: Context, folder: Folder) -> None:
    by_version: dict[str, dict[str, _Ids]] = {}
    for n, check in enumerate(queue.checks):
        if points := context.points.get(check.example_id):
            files = by_version.setdefault(context.points_of[check.example_id].version, {})
            files[f"data/explained/{n}"] = [point.train_id for point in points]
    for data in {d.version: d for d in context.points_of.values()}.values():
        _writer(storage, data, folder, _small)(by_version[data.version])


def _writer(
    storage: Storage,
    data: DatasetVersion,
    folder: Folder,
    packing: Callable[[ImageShape], ImagePacking],
) -> Callable[[Mapping[str, _Ids]], None]:
    """Return what writes one file for each of some paths, with the examples of some ids."""
    shape = data.shape

    def write(files: Mapping[str, _Ids]) -> None:
        ids = {i for of_file in files.values() for i in of_file}
        if isinstance(shape, TextShape):
            texts = some_texts(storage, data, ids)
            for path, of_file in files.items():
                (pack,) = TextPacking(rows=_ACROSS**2).packs(texts.get(i, "") for i in of_file)
                folder.write(f"{path}.js", as_script(f"{path}.js", pack))
        else:
            images = some_images(storage, data, ids)
            for path, of_file in files.items():
                folder.write(
                    f"{path}.webp", _sheet(packing(shape), [images.get(i) for i in of_file])
                )

    return write


def _sheet(packing: ImagePacking, images: Sequence[Pixels | None]) -> bytes:
    (sheet,) = packing.packs(images)
    return sheet


def _large(shape: ImageShape) -> ImagePacking:
    small = max(shape.height, shape.width) <= EXACT.side
    return replace(pack_as(EXACT if small else _LARGE, shape), columns=1)


def _small(shape: ImageShape) -> ImagePacking:
    return replace(pack_as(choose_encoding(1, shape), shape), columns=_ACROSS)
