"""`ray up`, compose and systemd, and what holds for every file of `cluster/`."""

import configparser
import re
import shlex

import pytest
from manifests import AWS, CLUSTER, COMPOSE, IMAGE_TAG, RAY, ROOT, TEXTS, containers, nodes, objects

SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSWORD")


def test_rays_own_schema_accepts_the_aws_file():
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(AWS)
    validate_config(prepared)
    calls = ("setup_commands", "head_setup_commands", "worker_setup_commands")
    assert not any(prepared[name] for name in calls), "the image has everything"


def test_on_aws_the_head_does_no_work_and_asks_for_the_token():
    types = AWS["available_node_types"]
    assert types[AWS["head_node_type"]]["resources"] == {"CPU": 0}
    assert "--env=RAY_AUTH_MODE=token" in AWS["docker"]["run_options"]
    assert AWS["file_mounts"] == {"/home/ray/.ray/auth_token": "~/.ray/auth_token"}


def test_every_ray_that_is_started_asks_for_a_token():
    """KubeRay's clusters, which have no `ray start`, are checked in test_kubernetes.py."""
    starting = {n for n, text in TEXTS.items() if re.search(r"^[^#`]*\bray start\b", text, re.M)}
    assert starting == {"cluster/compose.yaml", "cluster/ray-up/aws.yaml"}
    for name in ("ray", "rescore"):
        assert COMPOSE["services"][name]["environment"]["RAY_AUTH_MODE"] == "token"
    modes = [option for option in AWS["docker"]["run_options"] if "RAY_AUTH_MODE" in option]
    assert modes == ["--env=RAY_AUTH_MODE=token"]
    disabled = [name for name, text in TEXTS.items() if re.search(r"AUTH_MODE\W+disabled", text)]
    assert not disabled


def test_compose_opens_nothing_beyond_this_machine():
    published = [
        port for service in COMPOSE["services"].values() for port in service.get("ports", ())
    ]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_on_aws_spot_is_tried_first():
    workers = {n: t for n, t in AWS["available_node_types"].items() if n != AWS["head_node_type"]}
    spot = [n for n, t in workers.items() if "InstanceMarketOptions" in t["node_config"]]
    assert spot == [max(workers)]  # of equal types Ray takes the name that sorts last
    first, *others = (workers[name]["resources"] for name in workers)
    assert all(other == first for other in others)


def test_compose_gives_our_containers_a_user_and_the_env_file():
    ours = {n: s for n, s in COMPOSE["services"].items() if s["image"].startswith("protoscore:")}
    assert ours.keys() == {"ray", "rescore"}
    for service in ours.values():
        assert service["user"] == "1000:100"
        assert service["env_file"] == "compose.env"
    assert COMPOSE["services"]["rescore"]["profiles"] == ["rescore"]
    assert (CLUSTER / COMPOSE["services"]["ray"]["build"] / "Dockerfile").exists()
    for service in COMPOSE["services"].values():
        assert not service["image"].endswith("latest")
        assert not any(SECRET_NAME.search(name) for name in service.get("environment", ()))


@pytest.mark.parametrize("kind", ["service", "timer"])
def test_a_systemd_unit_reads_as_one(kind):
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(TEXTS[f"cluster/systemd/protoscore-rescore.{kind}"].replace("\\\n", " "))
    if kind == "timer":
        assert unit["Timer"]["OnCalendar"] == "*-*-* 02:30:00 UTC"
    else:
        assert unit["Service"]["User"] != "root"
        installed = shlex.split(unit["Service"]["ExecStart"])[0]
        assert installed.endswith("/.venv/bin/protoscore")


def test_there_is_one_ray_and_one_protoscore_everywhere():
    images = [container["image"] for _, container in containers()]
    images += [service["image"] for service in COMPOSE["services"].values()]
    images += [AWS["docker"]["image"]]
    ours = [image for image in images if "protoscore:" in image]
    assert len(ours) == len(images) - 1  # and the object store
    assert {image.split(":")[1].removesuffix("-gpu") for image in ours} == {IMAGE_TAG}
    versions = [n["rayVersion"] for _, item in objects() for n in nodes(item) if "rayVersion" in n]
    assert set(versions) == {RAY}


@pytest.mark.parametrize("path", TEXTS)
def test_a_file_names_no_other_ray_or_protoscore(path):
    assert set(re.findall(r"\d+\.\d+\.\d+-ray\d+\.\d+\.\d+", TEXTS[path])) <= {IMAGE_TAG}
    assert set(re.findall(r"ray(?:\[\w+\])?==([\d.]+)", TEXTS[path])) <= {RAY}


@pytest.mark.parametrize("path", TEXTS)
def test_a_file_holds_no_secret(path):
    text = TEXTS[path]
    assert not re.search(r"AKIA[0-9A-Z]{16}|\b[0-9a-fA-F]{32,}\b|BEGIN .*PRIVATE KEY", text)
    for name, value in re.findall(r"^\s*(\w+)=(.*)$", text, re.MULTILINE):
        if SECRET_NAME.search(name):
            assert value in {"", "CHANGE_ME"}


def test_manifests_take_secrets_by_reference():
    for name, item in objects():
        assert item["kind"] != "Secret", name
        for node in nodes(item):
            if "value" in node and "name" in node:
                assert not SECRET_NAME.search(node["name"]), name


@pytest.mark.parametrize("path", TEXTS)
def test_the_paths_that_a_file_names_exist(path):
    # by the commands of the README
    made = {"cluster/compose.env", "cluster/kuberay/mine", "cluster/kuberay/mine-now"}
    for name in re.findall(r"\bcluster/[\w./*-]*[\w*]", TEXTS[path]):
        assert name in made or [*ROOT.glob(name)], name
    for name in re.findall(r"`([\w/-]+\.(?:yaml|service|timer|example))`", TEXTS[path]):
        assert [*CLUSTER.rglob(name)], name
