"""How the findings of an evaluation are printed and published."""

from ray_jobs.evaluations.evaluating import evaluating
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.findings import Finding


def test_counts_are_printed_whole_and_shares_to_four_digits(tmp_path, capsys):
    values = {"distinct": 1_059_871.0, "share": 0.123456789, "unknown": float("nan")}
    findings = [
        Finding(subject="conf", part="", measure=measure, value=value, rows=3)
        for measure, value in values.items()
    ]
    storage = Storage(str(tmp_path / "store"))
    with evaluating(storage, "mine", "protoscore evaluate ties") as evaluation:
        evaluation.report("ties", findings, [("", measure) for measure in values])
    header, _, row, *_ = capsys.readouterr().out.splitlines()
    assert header.split() == ["subject", "distinct", "share", "unknown"]
    assert row.split() == ["conf", "1059871", "0.1235"]
    published = Store(storage.uri).evaluations("mine", "ties").to_pylist()
    assert {row["measure"]: row["value"] for row in published} == {**values, "unknown": None}
