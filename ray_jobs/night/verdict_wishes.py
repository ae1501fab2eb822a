"""What reviewers decided about labels, as corrections to make: `rescore --apply-verdicts`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ray_jobs.jobs.progress import counted
from ray_jobs.terminal.say import note
from scoring.data.correcting import EXCLUDE, Wish
from scoring.data.corrections import Correction
from scoring.data.ingest import Survey
from scoring.data.versions import DatasetVersion, all_versions
from scoring.errors import UserError
from scoring.store.keys import SPLITS, Split
from scoring.store.storage import Storage
from scoring.tables.verdicts import Verdict, read_verdicts

VERDICTS = "verdicts"
"""Origin of the corrections, for the record."""


@dataclass(frozen=True, kw_only=True)
class VerdictWishes:
    """Labels that reviewers want."""

    wishes: tuple[Wish, ...]
    examples: Mapping[tuple[Split, int], str]
    """Split and id to the hash of what was checked."""

    def still_true(self, changes: Iterable[Correction]) -> tuple[Correction, ...]:
        """Leave out corrections of what has become another image or text since it was checked."""
        found = [*changes]
        kept = tuple(c for c in found if self.examples[c.split, c.example_id] == c.example)
        if len(kept) < len(found):
            note(
                f"verdicts about examples that have changed since, and do not apply: "
                f"{len(found) - len(kept):,}"
            )
        return kept


def wishes_of_verdicts(
    storage: Storage, dataset: str, surveys: Mapping[Split, Survey]
) -> VerdictWishes:
    """Return the labels that reviewers want, and say which verdicts do not count.

    Of each reviewer's verdicts on an example the newest counts. Where those of several come to
    different labels, none does.

    Args:
        storage: the store.
        dataset: its name in `scores`.
        surveys: both splits, compared with the store.

    Raises:
        UserError: there are no verdicts.
    """
    wishes, examples, left_out, verdicts = [], {}, Counter[str](), 0
    for split in SPLITS:
        found = read_verdicts(storage, dataset, split)
        verdicts += len(found)
        names = _class_names(storage, surveys[split].name, split, found)
        for example_id, made in _newest(found).items():
            if len({_outcome(verdict, names) for verdict in made}) > 1:
                left_out["examples that reviewers disagree on, and that stay as they are"] += 1
                continue
            deciding = max(made, key=lambda verdict: (verdict.says_wrong, verdict.decided_at))
            if not deciding.says_wrong:
                continue
            if not _is_there(surveys[split], example_id):
                left_out["verdicts about examples that the source has no more"] += 1
                continue
            label = _outcome(deciding, names)[-1]
            if deciding.decision == EXCLUDE and EXCLUDE in surveys[split].layout.classes:
                left_out[f"verdicts to exclude, which a class named {EXCLUDE} stands for"] += 1
                continue
            where = f"example {example_id} of {split}"
            wishes.append(Wish(where=where, label=label, split=split, example_id=example_id))
            examples[split, example_id] = deciding.example
    if not verdicts:
        raise UserError(
            f"--apply-verdicts: expected verdicts on {dataset} in {storage.uri}, got none; run "
            "protoscore review first"
        )
    for what, count in left_out.items():
        note(f"{what}: {count:,}")
    note(
        f"--apply-verdicts: {counted(len(wishes), 'label')} to correct, from {verdicts:,} verdicts"
    )
    return VerdictWishes(wishes=tuple(wishes), examples=examples)


def _newest(verdicts: Iterable[Verdict]) -> dict[int, list[Verdict]]:
    """Return each reviewer's newest verdict on each example, skipped ones left out."""
    newest: dict[tuple[int, str], Verdict] = {}
    for verdict in sorted(verdicts, key=lambda verdict: verdict.decided_at):
        if verdict.decision != "skip":
            newest[verdict.example_id, verdict.reviewer] = verdict
    found: dict[int, list[Verdict]] = {}
    for (example_id, _), verdict in sorted(newest.items()):
        found.setdefault(example_id, []).append(verdict)
    return found


def _class_names(
    storage: Storage, data: str, split: Split, verdicts: Iterable[Verdict]
) -> dict[str, tuple[str, ...]]:
    """Return the class names of the dataset versions that verdicts are about."""
    wanted = {verdict.dataset_version for verdict in verdicts}
    versions: list[DatasetVersion] = all_versions(storage, data, split) if wanted else []
    return {v.version: v.classes for v in versions if v.version in wanted}


def _outcome(verdict: Verdict, names: Mapping[str, tuple[str, ...]]) -> tuple[str, str]:
    """Return what a verdict comes to: ("class", its name), or ("decision", the decision)."""
    outcome = verdict.outcome
    if isinstance(outcome, int):
        return "class", names[verdict.dataset_version][outcome]
    return "decision", outcome


def _is_there(survey: Survey, example_id: int) -> bool:
    """Return whether the source still has an example."""
    return any(s.first_id <= example_id < s.first_id + s.rows for s in survey.shards)
