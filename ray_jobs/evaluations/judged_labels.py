"""What the verdict makes of labels that were changed on purpose, beside cleanlab's own."""

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_jobs.night.plan import Plan
from scoring.analysis import changed_labels
from scoring.analysis.changed_labels import ScoredRows
from scoring.analysis.review_sample import coverage
from scoring.analysis.verdict import CUT, EVALUATION, read_estimates
from scoring.arrays import Bools, Floats, Ints
from scoring.staged.probabilities import padded_lists
from scoring.tables import Store
from scoring.tables.findings import Finding

VERDICT, CLEANLAB = "verdict", "cleanlab"
CHECKS = 200
"""Labels that a simulated reviewer checks, who makes no mistakes."""
_DRAWS = 200


def judged_labels(plan: Plan, stage: str, ids: Ints, changed: Bools) -> list[Finding]:
    """Report how well the verdict finds changed training labels.

    Args:
        plan: a night, published.
        stage: the stage of training, which becomes the part.
        ids: [N] ids of all training rows, ascending.
        changed: [N].

    Returns:
        For `verdict`, what `changed_labels.findings` reports of its order and its suspects, `count`
        with `low` and `high`, and `precision_said`; `check_coverage` and `check_width` of what
        `protoscore review` would say after `CHECKS` checks, over 200 draws. For `cleanlab`, if it
        is installed, `count`, `precision` and `recall` by its own functions, from the same
        probabilities. `changed` is the truth.
    """
    store, dataset = Store(plan.request.storage.uri), plan.request.publish_as
    rows = store.probabilities(dataset, "train").filter(pc.field("wrong").is_valid())
    if not len(rows):
        return []
    is_changed = changed[np.searchsorted(ids, rows["example_id"].to_numpy())]
    wrong = rows["wrong"].to_numpy()
    estimate = read_estimates(store.evaluations(dataset, EVALUATION))["train"]
    share, width = coverage(wrong, is_changed, CHECKS, _DRAWS)
    counts = {
        "changed": float(is_changed.sum()),
        "count": estimate.wrong,
        "low": estimate.low,
        "high": estimate.high,
        "precision_said": estimate.precision,
        "check_coverage": share,
        "check_width": width,
    }
    scored = ScoredRows(value=wrong, percentile=100 * (1 - wrong), changed=is_changed)
    suspects = float((wrong >= CUT).mean())
    found = changed_labels.findings(VERDICT, stage, scored, suspects)
    found += [_finding(VERDICT, stage, name, value, wrong) for name, value in counts.items()]
    return found + _by_cleanlab(rows, stage, is_changed)


def judged_lines(findings: Sequence[Finding]) -> list[str]:
    """Say how many labels were changed, and how many the verdict and cleanlab count."""
    found = {(f.part, f.subject, f.measure): f.value for f in findings}
    lines = []
    for stage in dict.fromkeys(f.part for f in findings if f.subject == VERDICT):
        count, low, high, said, precision, changed = (
            found[stage, VERDICT, name]
            for name in ("count", "low", "high", "precision_said", "precision", "changed")
        )
        line = (
            f"verdict, {stage}: {count:,.0f} wrong labels ({low:,.0f} to {high:,.0f}), "
            f"{changed:,.0f} in truth; {said:.1%} of suspects wrong, {precision:.1%} in truth"
        )
        share, width = (found[stage, VERDICT, f"check_{name}"] for name in ("coverage", "width"))
        line += f"; {CHECKS} checks: an interval {width:,.0f} wide, which holds it in {share:.1%}"
        if (stage, CLEANLAB, "count") in found:
            count, precision = (found[stage, CLEANLAB, name] for name in ("count", "precision"))
            line += f"; cleanlab: {count:,.0f}, and {precision:.1%} of its suspects wrong in truth"
        lines.append(line)
    return lines


def _by_cleanlab(rows: pa.Table, stage: str, changed: Bools) -> list[Finding]:
    if find_spec("cleanlab") is None:
        return []
    from cleanlab.count import num_label_issues
    from cleanlab.filter import find_label_issues

    labels, (classes, kept) = rows["label"].to_numpy(), padded_lists(rows)
    shares = np.zeros((len(rows), int(max(classes.max(), labels.max())) + 2))
    np.put_along_axis(shares, classes, kept, axis=1)  # the last column is for padding
    shares = shares[:, :-1] / shares[:, :-1].sum(axis=1, keepdims=True)
    found = find_label_issues(labels, shares, n_jobs=1)  # its processes would catch SIGTERM
    count = _finding(CLEANLAB, stage, "count", float(num_label_issues(labels, shares)), kept)
    return [count, *changed_labels.precision_and_recall(CLEANLAB, stage, found, changed)]


def _finding(subject: str, stage: str, measure: str, value: float, rows: Floats) -> Finding:
    return Finding(subject=subject, part=stage, measure=measure, value=value, rows=len(rows))
