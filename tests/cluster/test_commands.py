"""The command lines in manifests and README are ours, and parse."""

import re
import shlex
from collections.abc import Iterator

import pytest
from manifests import COMPOSE, TEXTS, containers, nodes, objects

from ray_jobs.commands import COMMANDS
from ray_jobs.commands.check import CheckFlags
from ray_jobs.terminal import night_flags
from ray_jobs.terminal.console import parse_flags

SUBMIT_FLAGS = {"--address": 1, "--working-dir": 1, "--no-wait": 0}
"""Of `protoscore submit`, with the number of words that follow."""


def in_manifests() -> Iterator[tuple[str, list[str]]]:
    for name, container in containers():
        if "command" in container:
            yield name, container["command"]
    for name, item in objects():
        for node in nodes(item):
            if "entrypoint" in node:
                yield name, shlex.split(node["entrypoint"])
    yield "compose", COMPOSE["services"]["rescore"]["command"]
    unit = TEXTS["cluster/systemd/protoscore-rescore.service"].replace("\\\n", " ")
    yield "systemd", shlex.split(re.search(r"^ExecStart=(.*)", unit, re.MULTILINE)[1])
    drop_in = TEXTS["cluster/systemd/command.conf.example"].replace("\\\n", " ")
    yield "systemd drop-in", shlex.split(re.search(r"^ExecStart=(.+)", drop_in, re.MULTILINE)[1])


def in_readme() -> Iterator[tuple[str, list[str]]]:
    blocks = re.findall(r"^```\w+\n(.*?)^```", TEXTS["cluster/README.md"], re.MULTILINE | re.DOTALL)
    for line in "".join(blocks).splitlines():
        if found := re.search(r"(?:^|[ '/])(?<!-n )(protoscore [a-z]+ [^'#]*)", line):
            yield f"README: {line[:60]}", shlex.split(found[1])


def job_of(words: list[str]) -> tuple[str, list[str]]:
    """The job that a command line runs, and the job's own flags."""
    if words[:2] == ["python", "-m"]:
        package, job = words[2].split(".")
        assert package == "ray_jobs"
        return job, words[3:]
    assert words[0].split("/")[-1] == "protoscore"
    job, rest = words[1], words[2:]
    if job == "submit":
        while rest[0].startswith("-"):
            rest = rest[1 + SUBMIT_FLAGS[rest[0]] :]
        job, rest = rest[0], rest[1:]
    return job, rest


@pytest.mark.parametrize(("where", "words"), [*in_manifests(), *in_readme()])
def test_a_command_line_parses_with_our_own_cli(where, words):
    job, rest = job_of(words)
    assert job in COMMANDS
    if job == "rescore":
        night, _ = night_flags.parse(rest, "protoscore rescore", "", night_flags.NightFlags)
        night.data.check()
        night.data.source()
        assert night.store.startswith("s3://")
        assert "--date=auto" in rest
    if job == "check":
        parse_flags(CheckFlags, rest, "protoscore check").expect.check()


def test_there_is_one_command_line_for_every_place():
    assert len([*in_manifests()]) == 10
    jobs = [job_of(words)[0] for _, words in in_readme()]
    assert jobs.count("rescore") == 2
    assert {"outliers", "query", "report"} <= {*jobs}
