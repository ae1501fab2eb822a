"""Dagster: the scores as an asset, and the gate as a check that blocks what is downstream."""

import subprocess

import dagster as dg

STORE = "--store=s3://BUCKET/PREFIX"
DATA = ("--dataset=parquet", "--train=s3://BUCKET/train", "--test=s3://BUCKET/test")


def protoscore(*words: str) -> int:
    code = subprocess.run(["protoscore", *words]).returncode
    if code > 1:  # bad input (2) stays bad; after the others the same command goes on
        raise dg.Failure(f"protoscore {words[0]}: exit code {code}", allow_retries=code != 2)
    return code


@dg.asset(retry_policy=dg.RetryPolicy(max_retries=2, delay=600))
def scores() -> None:
    protoscore("rescore", STORE, *DATA, "--name=photos")


@dg.asset_check(asset=scores, blocking=True)
def gate() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=protoscore("check", STORE, "--dataset=photos") == 0)


nightly = dg.define_asset_job("nightly", [scores])
schedule = dg.ScheduleDefinition(job=nightly, cron_schedule="30 2 * * *")
definitions = dg.Definitions(assets=[scores], asset_checks=[gate], schedules=[schedule])
