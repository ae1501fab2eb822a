"""A queue of labels to check, as tasks for Label Studio.

The format: https://labelstud.io/guide/task_format.html and https://labelstud.io/guide/predictions.
Each task has the example itself (an image as a data URI, so that no storage needs to be set up),
and a prediction that chooses the suggested class, with the probability that the given one is wrong
as its score. A second file has the labeling interface.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from scoring.data.images import as_png
from scoring.data.reviews import Check, Queue
from scoring.data.some_examples import some_images, some_texts
from scoring.data.texts import TextShape
from scoring.data.versions import DatasetVersion
from scoring.printable import printable
from scoring.store.storage import Storage
from scoring.store.whole_files import written_whole

LABEL_CONTROL = "label"
"""Name of the control that chooses a class."""
VERDICT_CONTROL = "verdict"
"""Name of the control that chooses another decision."""
VERDICTS = ("ambiguous", "exclude")
_EXAMPLE = "example"
_FLAG = "--output"


def write_label_studio(storage: Storage, queue: Queue, data: DatasetVersion, path: Path) -> Path:
    """Write the tasks of a queue to a JSON file, and the interface beside it.

    Args:
        storage: holds the examples.
        queue: what is to be checked.
        data: the dataset version that it was drawn from.
        path: the file of tasks.

    Returns:
        The file of the interface, XML.

    Raises:
        UserError: a file cannot be written.
        BadStore: a shard cannot be read.
    """
    interface = path.with_name(f"{path.stem}-interface.xml")
    tasks = list(_tasks(storage, queue, data))
    with written_whole(interface, _FLAG) as unfinished:
        unfinished.write_text(_interface(data), "utf-8")
    with written_whole(path, _FLAG) as unfinished:
        unfinished.write_text(json.dumps(tasks, indent=1), "utf-8")
    return interface


def _tasks(storage: Storage, queue: Queue, data: DatasetVersion) -> Iterator[dict[str, Any]]:
    examples = _examples(storage, data, queue.checks)
    for check in queue.checks:
        suggested = printable(data.classes[check.suggested])
        choice = {
            "id": LABEL_CONTROL,
            "from_name": LABEL_CONTROL,
            "to_name": _EXAMPLE,
            "type": "choices",
            "value": {"choices": [suggested]},
        }
        yield {
            "data": {
                _EXAMPLE: examples[check.example_id],
                "queue": queue.id,
                "example_id": check.example_id,
                "name": check.name,
                "given": printable(data.classes[check.label]),
                "suggested": suggested,
            },
            "predictions": [
                {
                    "model_version": f"protoscore {queue.id[:8]}",
                    "score": check.wrong,
                    "result": [choice],
                }
            ],
        }


def _examples(storage: Storage, data: DatasetVersion, checks: Sequence[Check]) -> dict[int, str]:
    """Return texts, or images as data URIs, by id; "" of what cannot be decoded."""
    ids = [check.example_id for check in checks]
    if isinstance(data.shape, TextShape):
        found = some_texts(storage, data, ids)
    else:
        images = some_images(storage, data, ids)
        pngs = {i: base64.b64encode(as_png(image)).decode() for i, image in images.items()}
        found = {i: f"data:image/png;base64,{png}" for i, png in pngs.items()}
    return {i: found.get(i, "") for i in ids}


def _interface(data: DatasetVersion) -> str:
    """Return the labeling interface: the example, its classes, and the other decisions."""
    tag = "Text" if isinstance(data.shape, TextShape) else "Image"
    controls = {LABEL_CONTROL: [*map(printable, data.classes)], VERDICT_CONTROL: [*VERDICTS]}
    lines = [
        "<View>",
        '  <Header value="Given: $given. Suggested: $suggested."/>',
        f'  <{tag} name="{_EXAMPLE}" value="${_EXAMPLE}"/>',
    ]
    for name, choices in controls.items():
        lines.append(f'  <Choices name="{name}" toName="{_EXAMPLE}" choice="single">')
        lines += [f"    <Choice value={quoteattr(choice)}/>" for choice in choices]
        lines.append("  </Choices>")
    return "\n".join([*lines, "</View>", ""])
