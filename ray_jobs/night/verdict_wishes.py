"""What reviewers decided about labels, as corrections to make: `rescore --apply-verdicts`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ray_jobs.jobs.progress import counted
from ray_jobs.terminal.say import note
from scoring.data.correcting import EXCLUDE, Wish
from scoring.data.corrections import Correction
from scoring.data.ingest import Survey
from scoring.data.versions import named_version
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
    found = {split: read_verdicts(storage, dataset, split) for split in SPLITS}
    count = sum(map(len, found.values()))
    if not count:
        raise UserError(
            f"--apply-verdicts: expected verdicts on {dataset} in {storage.uri}, got none; run "
            "protoscore review first"
        )
    left_out: Counter[str] = Counter()
    wanted = [
        (wish, verdict)
        for split, verdicts in found.items()
        for wish, verdict in _of_split(storage, surveys[split], verdicts, left_out)
    ]
    for what, n in left_out.items():
        note(f"{what}: {n:,}")
    note(f"--apply-verdicts: {counted(len(wanted), 'label')} to correct, from {count:,} verdicts")
    return VerdictWishes(
        wishes=tuple(wish for wish, _ in wanted),
        examples={
            (wish.split, verdict.example_id): verdict.example
            for wish, verdict in wanted
            if wish.split is not None
        },
    )


def _of_split(
    storage: Storage, survey: Survey, verdicts: Sequence[Verdict], left_out: Counter[str]
) -> Iterator[tuple[Wish, Verdict]]:
    """Yield what the reviewers of a split want, each with a verdict that wants it.

    What does not count is counted in `left_out`, by the reason.
    """
    names = _class_names(storage, survey, verdicts)
    for example_id, made in _newest(verdicts).items():
        if len({_outcome(verdict, names) for verdict in made}) > 1:
            left_out["examples that reviewers disagree on, and that stay as they are"] += 1
            continue
        deciding = max(made, key=lambda verdict: (verdict.says_wrong, verdict.decided_at))
        if not deciding.says_wrong:
            continue
        if not _is_there(survey, example_id):
            left_out["verdicts about examples that the source has no more"] += 1
        elif deciding.decision == EXCLUDE and EXCLUDE in survey.layout.classes:
            left_out[f"verdicts to exclude, which a class named {EXCLUDE} stands for"] += 1
        else:
            wish = Wish(
                where=f"example {example_id} of {survey.split}",
                label=_outcome(deciding, names)[-1],
                split=survey.split,
                example_id=example_id,
            )
            yield wish, deciding


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
    storage: Storage, survey: Survey, verdicts: Sequence[Verdict]
) -> dict[str, tuple[str, ...]]:
    """Return the class names of the dataset versions that verdicts are about."""
    versions = {verdict.dataset_version for verdict in verdicts}
    return {v: named_version(storage, survey.name, survey.split, v).classes for v in versions}


def _outcome(verdict: Verdict, names: Mapping[str, tuple[str, ...]]) -> tuple[str, str]:
    """Return what a verdict comes to: ("class", its name), or ("decision", the decision)."""
    outcome = verdict.outcome
    if isinstance(outcome, int):
        return "class", names[verdict.dataset_version][outcome]
    return "decision", outcome


def _is_there(survey: Survey, example_id: int) -> bool:
    """Return whether the source still has an example."""
    return any(s.first_id <= example_id < s.first_id + s.rows for s in survey.shards)
