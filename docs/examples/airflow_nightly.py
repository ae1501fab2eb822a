"""Airflow 3: a night of protoscore, then its gate."""

import subprocess
from datetime import datetime, timedelta

from airflow.exceptions import AirflowFailException
from airflow.sdk import dag, task

STORE = "--store=s3://BUCKET/PREFIX"
DATA = ("--dataset=parquet", "--train=s3://BUCKET/train", "--test=s3://BUCKET/test")


def protoscore(*words: str) -> None:
    code = subprocess.run(["protoscore", *words]).returncode
    if code in (1, 2):  # an expectation failed, or bad input: another try would not help
        raise AirflowFailException(f"protoscore {words[0]}: exit code {code}")
    if code:  # something failed or is missing: the same command goes on
        raise RuntimeError(f"protoscore {words[0]}: exit code {code}")


@dag(schedule="30 2 * * *", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1)
def protoscore_nightly():
    again = {"retries": 2, "retry_delay": timedelta(minutes=10)}
    rescore = task(task_id="rescore", **again)(protoscore)
    check = task(task_id="check", **again)(protoscore)
    rescore("rescore", STORE, *DATA, "--name=photos") >> check("check", STORE, "--dataset=photos")


nightly = protoscore_nightly()
