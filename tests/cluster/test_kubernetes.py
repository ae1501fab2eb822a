"""What `kubectl apply -k` would send."""

from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml
from manifests import APPLIED, IMAGE_TAG, KUBERAY, containers, nodes, objects, pod_templates

RAY_SCHEMA = yaml.safe_load((Path(__file__).parent / "ray_schema.yaml").read_text())
KUBERNETES = "1.30"  # the oldest that we mean to run on
KINDS = {
    "overlays/cpu": {"RayCluster", "CronJob"},
    "overlays/gpu": {"RayCluster", "CronJob"},
    "rescore-now": {"RayJob"},
    "raycronjob": {"RayCronJob"},
    "overlay": {"RayCluster", "CronJob"},
    "overlay-now": {"RayJob"},
}


def test_each_folder_applies_what_it_is_for_and_nothing_else():
    applied = {folder: set() for folder in APPLIED}
    for name, item in objects():
        applied[name.split(":")[0]].add(item["kind"])
    assert applied == KINDS


@pytest.mark.parametrize(
    "path", sorted(KUBERAY.rglob("kustomization.yaml")), ids=lambda p: p.parent.name
)
def test_a_kustomization_lists_every_file_beside_it(path):
    about = yaml.safe_load(path.read_text())
    listed = {*about["resources"], *(patch["path"] for patch in about.get("patches", ()))}
    assert all((path.parent / name).exists() for name in listed)
    beside = {file.name for file in path.parent.glob("*.yaml")} - {path.name}
    assert beside <= listed


@pytest.mark.parametrize(("name", "item"), [*objects()])
def test_an_object_fits_its_schema(name, item):
    if item["apiVersion"] == "ray.io/v1":
        jsonschema.validate(item, RAY_SCHEMA, jsonschema.Draft202012Validator)
    else:
        kubernetes_validate.validate(item, KUBERNETES, strict=True)


@pytest.mark.parametrize(("name", "template"), [*pod_templates()])
def test_a_pod_template_fits_its_schema(name, template):
    pod = {"apiVersion": "v1", "kind": "PodTemplate", "template": template}
    kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_a_copied_template_has_the_same_night_and_the_registrys_image():
    def of(folder: str) -> dict[str, dict]:
        items = [item for name, item in objects() if name.startswith(f"{folder}:")]
        return {item["metadata"]["name"]: item for item in items}

    for template, original, name in (
        ("overlay", "overlays/cpu", "protoscore-nightly"),
        ("overlay-now", "rescore-now", "protoscore-now"),
    ):
        mine, theirs = of(template), of(original)
        assert mine.keys() - theirs.keys() <= {"protoscore-check"}
        assert {n["image"] for n in nodes([*mine.values()]) if "image" in n} == {
            f"REGISTRY/protoscore:{IMAGE_TAG}"
        }
        unnamed = yaml.safe_dump(mine[name]).replace("REGISTRY/", "")
        assert yaml.safe_load(unnamed) == theirs[name]


@pytest.mark.parametrize("typo", ["runAsNonroot", "containerz"])
def test_a_misspelt_field_would_be_noticed(typo):
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {typo: True, "containers": []}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_everything_gets_what_it_asks_for_and_no_more():
    asked = [
        node["resources"] for _, item in objects() for node in nodes(item) if "resources" in node
    ]
    assert len(asked) >= sum(1 for _ in containers())
    for resources in asked:
        assert resources["requests"] == resources["limits"]
        assert {"cpu", "memory"} <= resources["limits"].keys()


@pytest.mark.parametrize(("name", "template"), [*pod_templates()])
def test_no_pod_runs_as_root_or_can_become_it(name, template):
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    for container in template["spec"]["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_no_work_lands_on_a_head_and_every_cluster_asks_for_the_token():
    clusters = [n for _, item in objects() for n in nodes(item) if "headGroupSpec" in n]
    assert len(clusters) == len(APPLIED)
    for cluster in clusters:
        assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
        assert cluster["authOptions"]["mode"] == "token"


def test_the_nightly_job_submits_with_the_token_to_the_cluster_it_was_applied_with():
    for folder in ("overlays/cpu", "overlays/gpu"):
        found = {item["kind"]: item for name, item in objects() if name.startswith(folder)}
        template = found["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]
        env = {entry["name"]: entry for entry in template["spec"]["containers"][0]["env"]}
        cluster = found["RayCluster"]
        head = f"http://{cluster['metadata']['name']}-head-svc:8265"
        assert env["RAY_API_SERVER_ADDRESS"]["value"] == head
        assert env["RAY_AUTH_MODE"]["value"] == "token"
        token = env["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]
        assert token["name"] == cluster["spec"]["authOptions"]["secretName"]
        assert token["key"] == "auth_token"


def test_nights_never_overlap_and_end():
    for name, item in objects():
        if item["kind"] == "CronJob":
            spec = item["spec"]
            assert spec["concurrencyPolicy"] == "Forbid", name
            assert spec["timeZone"] == "Etc/UTC", name
            assert {"startingDeadlineSeconds", "failedJobsHistoryLimit"} <= spec.keys(), name
            assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] > 0, name


@pytest.mark.parametrize("folder", APPLIED)
def test_the_job_names_the_device_that_its_workers_have(folder):
    found = [item for name, item in objects() if name.startswith(folder)]
    gpus = any("nvidia.com/gpu" in node.get("limits", ()) for node in nodes(found))
    assert gpus == ("--device=cuda" in str(found))
