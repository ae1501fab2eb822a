"""Whatever the user gets wrong is one line on stderr and exit code 2, before any work."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import ray
import torch
from image_files import encode, grey_pngs, pixels, write_folder, write_parquet

from ray_jobs.cli import main

Refused = Callable[..., str]
Files = dict[str, str]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Small datasets, good and bad, by name."""
    root = tmp_path_factory.mktemp("data")
    for split in ("train", "test"):
        (root / "text" / split / "ant").mkdir(parents=True)
        (root / "text" / split / "ant" / "a.png").write_text("this is not an image")
    (root / "not-parquet").write_text("text")
    (root / "empty").mkdir()
    labels = [0, 1, 0, 1]
    return {
        "root": str(root),
        "file": str(root / "not-parquet"),
        "empty": str(root / "empty"),
        "text": str(root / "text"),
        "folder": write_folder(root / "folder", "train", {"ant": 2, "bee": 2}),
        "good": write_parquet(root / "good.parquet", grey_pngs(4), labels),
        "texts": write_parquet(root / "texts.parquet", ["a", "b"], [0, 1]),
        "negative": write_parquet(root / "negative.parquet", grey_pngs(4), [0, 1, -1, 1]),
        "none": write_parquet(root / "none.parquet", [b"text", b"", None, b"\x89PNG"], labels),
    }


@pytest.fixture
def refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Refused:
    """Run a job that must be refused; returns its one line of complaint."""
    door = "ray_jobs.on_ray.ray_engine.ray_engine"
    monkeypatch.setattr(door, lambda *_: pytest.fail("started Ray"))
    running = ray.is_initialized()  # by another test

    def run(*flags: str, job: str = "rescore", store: str = "") -> str:
        before = sorted(tmp_path.rglob("*"))
        assert main([job, *flags, "--store", store or str(tmp_path / "store")]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert len(said.err.splitlines()) == 1, said.err
        assert said.err.startswith("protoscore: error: ")
        assert "Traceback" not in said.err
        assert sorted(tmp_path.rglob("*")) == before
        assert ray.is_initialized() == running
        return said.err.removeprefix("protoscore: error: ").strip()

    return run


FLAGS = {
    "dataset": (
        "--dataset nosuch",
        "--dataset: expected one of cifar10, cifar100, digits, fashion",
    ),
    "metric": ("--metrics nosuch", "--metrics: expected one of adv_l2, adv_linf, adv_steps, agr"),
    "net": (
        "--net nosuch",
        "--net: expected one of a torchvision classifier, bag_of_embeddings, lenet5",
    ),
    "factory": ("--net no.such:net", "--net: expected an importable package.module:factory, got"),
    "recipe": (
        "--recipe nosuch",
        "--recipe: expected one of memorise, paper_cifar, paper_mnist, quick, sh",
    ),
    "fleet": ("--fleet nosuch", "--fleet: expected one of demo, paper, standard, got 'nosuch'"),
    "negative limit": (
        "--limit-train -1",
        "--limit-train: expected a number of rows above 0, got -",
    ),
    "no rows": ("--limit-test 0", "--limit-test: expected a number of rows above 0, got 0"),
    "limit is text": ("--limit-train many", "--limit-train: expected INT, got 'many'"),
    "shard rows": ("--shard-rows 0", "--shard-rows: expected a number above 0, got 0"),
    "max corrupt": ("--max-corrupt 5", "--max-corrupt: expected a share in [0, 1], got 5.0"),
    "image size": ("--image-size 8by8", "--image-size: expected HxW in pixels, got '8by8'"),
    "relabel": ("--relabel 1.5", "--relabel: expected a share in [0, 1], got 1.5"),
    "both alterations": (
        "--relabel 0.2 --corrupted-copies",
        "--relabel: expected no --corrupted-copies, got both",
    ),
    "epochs": ("--epochs 0", "--epochs: expected a number above 0, got 0"),
    "training batch": ("--train-batch-rows -1", "--train-batch-rows: expected a number above 0"),
    "threads": ("--threads 0", "--threads: expected a number above 0, got 0"),
    "cpus": ("--cpus -2", "--cpus: expected a number > 0, got -2"),
    "memory": ("--train-memory-gb inf", "--train-memory-gb: expected a number > 0, got inf"),
    "scratch": (
        "--scratch /no/such",
        "--scratch or $PROTOSCORE_SCRATCH: expected a folder that can be written, got '/no/such'",
    ),
    "name": ("--name ../mine", "--name: expected letters, digits and any of ' ._-', got '../m"),
    "as": ("--as ../mine", "--as: expected letters, digits and any of ' ._-', got '../mine'"),
    "as, absolute": ("--as /tmp/x", "--as: expected letters, digits and any of ' ._-', got '/tmp/"),
    "as, too long": (f"--as {'x' * 201}", "--as: expected a name of at most 200 bytes, got 201"),
    "name, too long": (
        f"--name {'犬' * 30}",
        "--name: expected a name of at most 200 bytes, got 27",
    ),
    "no pixels": ("--max-pixels 0", "--max-pixels: expected a number from 1 to 178956970, got 0"),
    "pixels": ("--max-pixels 1000000000", "--max-pixels: expected a number from 1 to 178956970, g"),
    "pixels of digits": (
        "--max-pixels 1000",
        "--max-pixels: expected with --dataset image_folder or parquet, got --dataset digits",
    ),
    "choice": ("--ensemble nosuch", "--ensemble: expected one of seeds, subsets, got 'nosuch'"),
    "folds": ("--folds 1", "--folds: expected 2 or more, got 1"),
    "folds of seeds": (
        "--ensemble seeds --folds 3",
        "--folds: expected none with --ensemble seeds, got 3",
    ),
    "models": ("--models nosuch", "--models: expected reuse, retrain or retrain-if-changed="),
    "share": ("--models retrain-if-changed=2", "--models: expected reuse, retrain or retrain-if"),
    "splits": ("--splits", "--splits: expected train, test or both, got none"),
    "date": ("--date yesterday", "--date: expected auto or YYYY-MM-DD, got 'yesterday'"),
    "hours": ("--max-hours 0", "--max-hours: expected a number > 0, got 0.0"),
    "GPU-hours": ("--max-gpu-hours -1", "--max-gpu-hours: expected a number > 0, got -1.0"),
    "no number of GPU-hours": (
        "--max-gpu-hours nan",
        "--max-gpu-hours: expected a number > 0, got nan",
    ),
    "dollars": (
        "--max-usd nan --usd-per-gpu-hour 1",
        "--max-usd: expected a number > 0, got nan",
    ),
    "dollars without a price": (
        "--max-usd 5",
        "--max-usd: expected a price too, --usd-per-gpu-hour or --usd-per-cpu-hour, got none",
    ),
    "price": ("--usd-per-gpu-hour -2", "--usd-per-gpu-hour: expected a number > 0, got -2.0"),
    "price of CPUs": (
        "--usd-per-cpu-hour inf",
        "--usd-per-cpu-hour: expected a number > 0, got inf",
    ),
    "attack": (
        "--adv-l2.attack nosuch",
        "--adv-l2.attack: expected one of carlini_wagner, ddn, deepfool, race, got 'nosuch'",
    ),
    "steps": ("--adv-l2.steps -5", "adv-l2: steps: expected a number above 0, got -5"),
    "unknown flag": (
        "--metric conf",
        "unknown arguments: --metric, conf; perhaps you meant --me",
    ),
    "no value": ("--net", "--net: expected a value, got none"),
    "parquet without train": ("--dataset parquet", "--train: expected a file, folder or glob of"),
    "train without parquet": ("--train x.parquet", "--train: expected with --dataset parquet, got"),
    "folder without root": (
        "--dataset image_folder",
        "--data-root: expected the folder that holds",
    ),
    "mnist without root": ("--dataset mnist", "--data-root: expected the folder that holds mnist"),
    "no manifest": ("--import-runs nowhere.json", "--import-runs: cannot read 'nowhere.json'"),
}


@pytest.mark.parametrize("name", FLAGS)
def test_flags(refused: Refused, name: str) -> None:
    flags, message = FLAGS[name]
    assert refused(*flags.split()).startswith(message)


def test_scratch_space_that_others_can_enter(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = tmp_path / f"protoscore-scratch-{os.geteuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    want = f"--scratch or $PROTOSCORE_SCRATCH: expected '{planted}' on "
    assert refused("--scratch", str(tmp_path)).startswith(want)
    monkeypatch.setenv("PROTOSCORE_SCRATCH", str(tmp_path))
    assert refused().endswith(
        "got one that others can enter (mode 777); remove it, or name another place"
    )


def test_names_are_listed(refused: Refused) -> None:
    assert refused("--dataset", "nosuch").endswith("image_folder, mnist, parquet, got 'nosuch'")
    assert refused("--metrics", "conf", "nosuch").endswith(
        "vog_logp_predicted, vog_predicted, got 'nosuch'"
    )


@pytest.mark.parametrize("job", ["plan", "rescore", "ingest"])
def test_every_job_that_reads_data_refuses(refused: Refused, files: Files, job: str) -> None:
    train = ("--dataset", "parquet", "--train", files["good"], "--test", files["good"])
    said = refused(*train, "--label-column", "y", job=job)
    assert said.startswith("--label-column: expected a column of '")
    assert said.endswith("good.parquet' (image, label), got 'y'")
    assert refused("--dataset", "nosuch", job=job).startswith("--dataset: expected one of")
    assert "expected a writable" in refused(job=job, store=f"{files['file']}/s") or job == "plan"


DATA = {
    "missing root": (
        "--dataset mnist --data-root {root}/nowhere",
        "--data-root: expected a folder",
    ),
    "empty root": (
        "--dataset mnist --data-root {empty}",
        "--data-root: expected MNIST/raw/train-im",
    ),
    "no batches": (
        "--dataset cifar10 --data-root {empty}",
        "--data-root: expected cifar-10-batches",
    ),
    "missing folder": (
        "--dataset image_folder --data-root {root}/nowhere",
        "--data-root: expected images in {root}/nowhere/train/<class>/, got none",
    ),
    "no test folder": (
        "--dataset image_folder --data-root {folder}",
        "--data-root: expected images in {folder}/test or val/<class>/, got none",
    ),
    "PNGs that are text": (
        "--dataset image_folder --data-root {text}",
        "--data-root {text}: expected images that Pillow can read, got none among the first rows",
    ),
    "missing file": (
        "--dataset parquet --train {root}/x.parquet --test {good}",
        "--train: expected .parquet files, got none at '{root}/x.parquet'",
    ),
    "missing test file": (
        "--dataset parquet --train {good} --test {root}/x*.parquet",
        "--test: expected .parquet files, got none at '{root}/x*.parquet'",
    ),
    "empty folder": (
        "--dataset parquet --train {empty} --test {good}",
        "--train: expected .parquet files, got none at '{empty}'",
    ),
    "not Parquet": (
        "--dataset parquet --train {file} --test {good}",
        "expected a readable Parquet file, got '{file}'",
    ),
    "image column": (
        "--dataset parquet --train {good} --test {good} --image-column x",
        "--image-column: expected a column of '{good}' (image, label), got 'x'",
    ),
    "id column": (
        "--dataset parquet --train {good} --test {good} --id-column key",
        "--id-column: expected a column of '{good}' (image, label), got 'key'",
    ),
    "images are text": (
        "--dataset parquet --train {texts} --test {good}",
        "--image-column: expected encoded images (binary), got 'image' of type string in '{texts}'",
    ),
    "no image decodes": (
        "--dataset parquet --train {none} --test {good}",
        "--image-column image: expected images that Pillow can read, got none among the first rows",
    ),
    "negative label": (
        "--dataset parquet --train {negative} --test {good}",
        "--label-column: expected strings or integers from 0, got -1",
    ),
    "too few class names": (
        "--dataset parquet --train {good} --test {good} --class-names ant",
        "--class-names: expected a name for every label, got 1 names and the label 1",
    ),
    "a class named twice": (
        "--dataset parquet --train {good} --test {good} --class-names ant ant",
        "--class-names: expected every name once, got one twice",
    ),
    "no such bucket of data": (
        "--dataset parquet --train nosuch://bucket/x --test {good}",
        "--train: cannot list 'nosuch://bucket/x'",
    ),
}


@pytest.mark.parametrize("name", DATA)
def test_data(refused: Refused, files: Files, name: str) -> None:
    flags, message = (text.format(**files) for text in DATA[name])
    assert refused(*flags.split()).startswith(message)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "\u202eab", "a\0b", "", " ", ".", "a/b"])
def test_names_of_what_is_published(refused: Refused, name: str) -> None:
    for flag in ("--as", "--name"):
        if name:
            expected = f"{flag}: expected letters, digits and any of ' ._-', got {name!r}"
            assert refused(flag, name) == expected
    assert "expected letters" in refused("--as", name or "/", job="plan")


def test_arguments_that_are_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rescore", "--name", "a\udcff"]) == 2
    said = capsys.readouterr().err
    assert said == "protoscore: error: expected arguments in UTF-8, got 'rescore --name a\\udcff'\n"


def test_an_unknown_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nosuch"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("protoscore: error: expected one of rescore, plan, submit, ingest")
    assert said.endswith("got 'nosuch'\n")
    assert len(said.splitlines()) == 1


def test_stores(refused: Refused, files: Files) -> None:
    below_a_file = f"{files['file']}/store"
    assert refused(store=below_a_file) == (
        f"--store: expected a writable store, got {below_a_file!r} (NotADirectoryError)"
    )
    unknown = "expected a local path or s3://bucket/prefix, got 'nosuch://x'"
    assert refused(store="nosuch://x") == unknown
    assert "SECRET" not in refused(store="s3://KEY:SECRET@bucket/x")


def test_a_store_that_you_may_not_write(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = Path(tempfile.gettempdir())
    # Root may write anywhere.
    monkeypatch.setattr("os.access", lambda path, _: Path(path) == temporary)
    assert refused().endswith("(PermissionError)")


@pytest.mark.s3
def test_an_s3_bucket_that_is_not_there(refused: Refused, s3_store: str) -> None:
    for job, want in (("rescore", "writable"), ("plan", "readable")):
        said = refused(job=job, store="s3://no-such-bucket/store")
        assert said.startswith(f"--store: expected a {want} store, got 's3://no-such-bucket/store'")
        assert "(FileNotFoundError)" in said
    train = ("--dataset", "parquet", "--train", "s3://no-such-bucket/x", "--test", f"{s3_store}/x")
    assert refused(*train).startswith("--train: ")


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Writes a manifest of one run; returns the flags that name it."""

    def write(**entry: object) -> tuple[str, str]:
        path = tmp_path / "runs.json"
        path.write_text(json.dumps({"runs": [{"weights": "net.pt", "net": "mlp", **entry}]}))
        return "--import-runs", str(path)

    return write


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code that came with a checkpoint",)


def test_manifests(
    refused: Refused, manifest: Callable[..., tuple[str, str]], tmp_path: Path
) -> None:
    said = refused(*manifest())
    assert said.startswith("--import-runs: cannot read '")
    assert said.endswith("net.pt' (FileNotFoundError)")
    torch.save({"weight": torch.zeros(3, 3)}, tmp_path / "net.pt")
    assert "expected weights of mlp for (8, 8, 1) images and 10 classes" in refused(*manifest())
    assert "expected weights, net and any of weights, net, role" in refused(*manifest(rate=1))
    assert "--net: expected one of" in refused(*manifest(net="nosuch"))
    torch.save({"weight": RunsCode()}, tmp_path / "net.pt")
    assert "net.pt: expected a checkpoint of tensors only" in refused(*manifest())


def test_colour_where_grey_was_said_is_no_mistake(
    files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    colour = [encode(pixels(i, channels=3)) for i in range(4)]
    train = write_parquet(tmp_path / "colour.parquet", colour, [0, 1, 0, 1])
    flags = ("--dataset", "parquet", "--train", train, "--test", train, "--channels", "1")
    assert main(["plan", *flags, "--store", str(tmp_path / "store")]) == 0
    assert "8x8x1" in capsys.readouterr().out


def test_the_process_says_so_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ray_jobs.cli", "rescore", "--dataset", "nosuch"]
    done = subprocess.run(
        [*command, "--store", str(tmp_path / "store")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("protoscore: error: --dataset: expected one of ")
    assert list(tmp_path.iterdir()) == []
