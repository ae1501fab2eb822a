"""Decisions in Label Studio's JSON export, about tasks that `protoscore review` wrote.

The format: https://labelstud.io/guide/task_format.html. A task has `data`, as it was imported, and
`annotations`; each has `result`, `completed_by`, `created_at` and `was_cancelled` (skipped).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ray_jobs.evaluations.answer_files import short
from scoring.errors import UserError
from scoring.exports import LABEL_CONTROL, VERDICT_CONTROL


def is_label_studio(content: object) -> bool:
    """Return whether a JSON value has the form of an export: a list of tasks."""
    return isinstance(content, list)


def annotations_of(tasks: list[Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield queue, reviewer and decision of each annotation.

    A decision is that of a page's file, but names its class. An annotation that chooses nothing
    counts as skipped.

    Raises:
        UserError: a task is none of ours, or an annotation has another form.
    """
    if not tasks:
        raise UserError("expected tasks of Label Studio, got none")
    for task in tasks:
        data, annotations = _part(task, "data", dict), _part(task, "annotations", list)
        queue = data.get("queue")
        if not isinstance(queue, str):
            raise UserError("expected tasks that protoscore review wrote, got one without a queue")
        for annotation in annotations:
            if not isinstance(annotation, dict):
                raise UserError(f"expected an annotation as an object, got {short(annotation)}")
            decision, label = _decision(annotation)
            made = {
                "example_id": data.get("example_id"),
                "decision": decision,
                "label": label,
                "decided_at": annotation.get("updated_at") or annotation.get("created_at"),
            }
            yield queue, _reviewer(annotation.get("completed_by")), made


def _part(task: object, key: str, kind: type) -> Any:  # noqa: ANN401 - of that kind
    value = task.get(key) if isinstance(task, dict) else None
    if not isinstance(value, kind):
        raise UserError(
            f"expected tasks of Label Studio's JSON export, with {key}, got {short(task)}"
        )
    return value


def _decision(annotation: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return a decision, and the name of a class to relabel to.

    A verdict counts before a class: the suggested class is chosen already when a task is opened.
    """
    chosen = {}
    for item in annotation.get("result") or []:
        value = item.get("value") if isinstance(item, dict) else None
        choices = value.get("choices") if isinstance(value, dict) else None
        if isinstance(choices, list) and len(choices) == 1 and isinstance(choices[0], str):
            chosen[item.get("from_name")] = choices[0]
    if annotation.get("was_cancelled") or not chosen:
        return "skip", None
    if VERDICT_CONTROL in chosen:
        return chosen[VERDICT_CONTROL], None
    if LABEL_CONTROL in chosen:
        return "relabel", chosen[LABEL_CONTROL]
    raise UserError(
        f"expected choices of {LABEL_CONTROL} or {VERDICT_CONTROL}, got {short([*chosen])}"
    )


def _reviewer(completed_by: object) -> str:
    """Return who annotated: by e-mail where the export has it, else by the user's number."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email") or completed_by.get("id")
    if isinstance(completed_by, str) and 0 < len(completed_by) <= 200:
        return completed_by
    if type(completed_by) is int:
        return f"Label Studio user {completed_by}"
    raise UserError(f"expected a user as completed_by, got {short(completed_by)}")
