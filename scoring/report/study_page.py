"""The page of a human study: screens of nine images, answered with keys or clicks.

The page and its data say what is asked on a screen and show its images. They say neither which
examples these are nor which questions are gold.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from scoring.analysis.study_design import CELLS
from scoring.data.images import ImageShape
from scoring.data.some_examples import some_images
from scoring.data.studies import Screen, Study
from scoring.data.versions import DatasetVersion
from scoring.report.folder import STUDY_GENERATOR, appearing
from scoring.report.scripts import as_script
from scoring.report.templates import STATIC, STUDY_STATIC, templates
from scoring.report.thumbnails import ImagePacking, choose_packing
from scoring.store.storage import Storage

_COLUMNS = 3
_DATA = "data/study.js"


def write_study(storage: Storage, study: Study, data: DatasetVersion, target: str) -> int:
    """Write the folder and return its size in bytes; the images of one set are in memory at a time.

    Args:
        storage: holds the images.
        study: the design.
        data: the dataset version that it was drawn from.
        target: a path or s3://bucket/prefix: new, empty, or an earlier study, which is replaced.

    Raises:
        UserError: the folder cannot be written.
        BadStore: a shard cannot be read.
    """
    assert isinstance(data.shape, ImageShape)
    screens = sum(map(len, study.sets))
    packing = replace(choose_packing(CELLS * screens, data.shape), columns=_COLUMNS)
    page = (
        templates()
        .get_template("study.html.j2")
        .render(
            study=study,
            screens=len(study.sets[0]),
            generator=STUDY_GENERATOR,
            stamp=study.id[:14],
            written_by=f"protoscore {version('protoscore')}",
        )
    )
    static = [STATIC / "base.css", STATIC / "base.js", *sorted(STUDY_STATIC.iterdir())]
    with appearing(target) as folder:
        folder.write("index.html", page.encode())
        for file in static:
            folder.write(f"{file.suffix[1:]}/{file.name}", file.read_bytes())
        folder.write(_DATA, as_script(_DATA, _data(study, data.classes, packing)))
        for number, screens_of_set in enumerate(study.sets):
            for screen, sheet in enumerate(_sheets(storage, data, screens_of_set, packing)):
                folder.write(f"data/{number}/{screen}.webp", sheet)
        return folder.size


def _data(study: Study, classes: Sequence[str], packing: ImagePacking) -> dict[str, Any]:
    return {
        "study": study.id,
        "classes": classes,
        "sheet": packing.describe(),
        "sets": [[[s.question, s.label] for s in screens] for screens in study.sets],
    }


def _sheets(
    storage: Storage, data: DatasetVersion, screens: Sequence[Screen], packing: ImagePacking
) -> Iterator[bytes]:
    """Yield one image for each screen: its nine images side by side."""
    shown = {i for screen in screens for i in screen.shown if i is not None}
    images = some_images(storage, data, shown)
    for screen in screens:
        yield from packing.packs(None if i is None else images.get(i) for i in screen.shown)
