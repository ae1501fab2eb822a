"""Every path of a store, spelled once.

    datasets/<dataset>/
        <split>/<version>.json                 a dataset version: classes, shape, shards, id ranges
        shards/<content>.parquet               examples: an explicit range of ids
        receipts/<key>.json                    the shard that an ingested piece became
        layouts/<state>.json                   classes and shape, for one state of the source files
    imports/<weights>.safetensors              a user's checkpoint, until it is a run
    runs/<run>/
        run.json                               its record; written last, so the run is finished
        model.safetensors                      its weights
        checkpoints/epoch-0003.safetensors     its weights after an epoch, where epochs are kept
        training.safetensors                   an unfinished training, to be resumed
        layer.safetensors, layer.json          a layer at rest, and the evidence that it is
    outputs/<run>/<content>.parquet            logits of a run on a shard
    features/<run>/<layer>/<content>.parquet   what a layer sees of a shard
    staging/<metric>/<key>.parquet             scores of a shard, to be ranked and published
    explanations/<run>/<key>.parquet           explanations of a shard, to be published
    tables/<table>/                            a Delta table
    tables/manifests/<data file>.json          what a data file of `scores` was made of
    nights/<night>.json                        a night's rows of `nights` and `runs`
    jobs/<job>.json                            a job: its lease, then how it ended

Runs, versions, shards (`content`), receipts and staged files are named by hashes.
"""

DATASETS = "datasets"
IMPORTS = "imports"
RUNS = "runs"
OUTPUTS = "outputs"
FEATURES = "features"
STAGING = "staging"
EXPLANATIONS = "explanations"
TABLES = "tables"
NIGHTS = "nights"
JOBS = "jobs"

_SHARDS = "shards"
_RECEIPTS = "receipts"
_LAYOUTS = "layouts"
_TRAINING = "training.safetensors"
_DELTA_LOG = "_delta_log"


def versions_folder(dataset: str, split: str) -> str:
    """Return the folder of all versions of a split."""
    return f"{DATASETS}/{dataset}/{split}"


def version_path(dataset: str, split: str, version: str) -> str:
    """Return the path of a dataset version."""
    return f"{versions_folder(dataset, split)}/{version}.json"


def shards_folder(dataset: str) -> str:
    """Return the folder of a dataset's shards."""
    return f"{DATASETS}/{dataset}/{_SHARDS}"


def shard_path(dataset: str, content: str) -> str:
    """Return the path of a shard."""
    return f"{shards_folder(dataset)}/{content}.parquet"


def receipts_folder(dataset: str) -> str:
    """Return the folder of a dataset's receipts."""
    return f"{DATASETS}/{dataset}/{_RECEIPTS}"


def receipt_path(dataset: str, key: str) -> str:
    """Return the path of the receipt of one piece under its ids."""
    return f"{receipts_folder(dataset)}/{key}.json"


def layout_path(dataset: str, state: str) -> str:
    """Return the path of the layout read from one state of the training files."""
    return f"{DATASETS}/{dataset}/{_LAYOUTS}/{state}.json"


def import_path(weights: str) -> str:
    """Return the path of imported weights, named by their content hash."""
    return f"{IMPORTS}/{weights}.safetensors"


def run_path(run: str) -> str:
    """Return the path of a run's record; the run is finished when the file exists."""
    return f"{RUNS}/{run}/run.json"


def model_path(run: str) -> str:
    """Return the path of a finished run's weights."""
    return f"{RUNS}/{run}/model.safetensors"


def epoch_path(run: str, epoch: int) -> str:
    """Return the path of a run's weights after an epoch, counted from 1."""
    return f"{RUNS}/{run}/checkpoints/epoch-{epoch:04d}.safetensors"


def training_path(run: str) -> str:
    """Return the path of the state from which an unfinished training resumes."""
    return f"{RUNS}/{run}/{_TRAINING}"


def layer_path(run: str) -> str:
    """Return the path of a representer run's layer at rest, its weights in float64."""
    return f"{RUNS}/{run}/layer.safetensors"


def evidence_path(run: str) -> str:
    """Return the path of the evidence for a layer at rest: what was solved, and how exactly."""
    return f"{RUNS}/{run}/layer.json"


def logits_path(run: str, content: str) -> str:
    """Return the path of a run's logits on a shard."""
    return f"{OUTPUTS}/{run}/{content}.parquet"


def features_folder(run: str, layer: str) -> str:
    """Return the folder of the features of a run's layer."""
    return f"{FEATURES}/{run}/{layer}"


def features_path(run: str, layer: str, content: str) -> str:
    """Return the path of the features of a shard."""
    return f"{features_folder(run, layer)}/{content}.parquet"


def staged_folder(metric: str) -> str:
    """Return the folder of a metric's staged scores."""
    return f"{STAGING}/{metric}"


def staged_path(metric: str, key: str) -> str:
    """Return the path of a metric's staged scores of a shard."""
    return f"{staged_folder(metric)}/{key}.parquet"


def explanations_path(run: str, key: str) -> str:
    """Return the path of a representer run's staged explanations of a shard."""
    return f"{EXPLANATIONS}/{run}/{key}.parquet"


def table_path(table: str, within: str = "") -> str:
    """Return the path of a Delta table, or of a file in it."""
    return f"{TABLES}/{table}/{within}" if within else f"{TABLES}/{table}"


def log_folder(table: str) -> str:
    """Return the folder of a Delta table's log."""
    return table_path(table, _DELTA_LOG)


def manifest_path(data_path: str) -> str:
    """Return the path of the manifest of a data file of `scores`."""
    return f"{TABLES}/manifests/{stem(data_path)}.json"


def night_path(night: str) -> str:
    """Return the path of a night's record."""
    return f"{NIGHTS}/{night}.json"


def job_path(job: str) -> str:
    """Return the path of a job's record."""
    return f"{JOBS}/{job}.json"


def run_of(path: str) -> str:
    """Return the run that a file of `runs`, `outputs` or `features` belongs to."""
    return path.split("/")[1]


def is_training(path: str) -> bool:
    """Return whether a file of `runs` holds an unfinished training."""
    return path.endswith(f"/{_TRAINING}")


def dataset_of(path: str) -> str:
    """Return the dataset that a file of `datasets` belongs to."""
    return path.split("/")[1]


def is_shard(path: str) -> bool:
    """Return whether a file of `datasets` is a shard."""
    return path.split("/")[2] == _SHARDS


def is_receipt(path: str) -> bool:
    """Return whether a file of `datasets` is a receipt."""
    return path.split("/")[2] == _RECEIPTS and path.endswith(".json")


def is_version(path: str) -> bool:
    """Return whether a file of `datasets` is a dataset version."""
    folder = path.split("/")[2]
    return folder not in (_SHARDS, _RECEIPTS, _LAYOUTS) and path.endswith(".json")


def is_log(path: str) -> bool:
    """Return whether a file of `tables` belongs to a table's log."""
    return f"/{_DELTA_LOG}/" in path


def stem(path: str) -> str:
    """Return a file's name without folders and ending, which is the key that names it."""
    return path.rpartition("/")[2].rpartition(".")[0]
