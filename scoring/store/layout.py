"""Every path of a store, spelled once.

    protoscore.json                            the mark: this folder is a store
    reserve                                    room for a vacuum's lease on a full disk
    datasets/<dataset>/
        <split>/<version>.json                 a dataset version: classes, shape, shards, id ranges
        shards/<content>.parquet               examples: an explicit range of ids
        receipts/<key>.json                    the shard that an ingested piece became
        layouts/<state>.json                   classes and shape, for one state of the source files
        corrections/<job>.json                 what a job changed of the corrections of labels
    imports/<weights>.safetensors              a user's checkpoint, until it is a run
    runs/<run>/
        run.json                               its record; written last, so the run is finished
        model.safetensors                      its weights
        checkpoints/epoch-0003.safetensors     its weights after an epoch, where epochs are kept
        training.safetensors                   an unfinished training, to be resumed
        epochs.parquet                         its tally of examples, added up over its epochs
        layer.safetensors, layer.json          a layer at rest, and the evidence that it is
    outputs/<run>/<content>.parquet            logits of a run on a shard
    features/<run>/<layer>/<content>.parquet   what a layer sees of a shard
    staging/<metric>/<key>.parquet             scores of a shard, to be ranked and published
    explanations/<run>/<key>.parquet           explanations of a shard, to be published
    tables/<table>/                            a Delta table
    tables/manifests/<data file>.json          what a data file of `scores` was made of
    tables/log_copies/<table>/<entry>.json     a copy of an entry of a table's log
    nights/<night>.json                        a night's rows of `nights` and `runs`
    jobs/<job>.json                            a job: its lease, then how it ended
    forgotten/<job>.json                       which examples were forgotten, and what was removed
    studies/<study>.json                       a human study: what it shows, and its gold answers
    reviews/<queue>.json                       labels to check: which examples, of which strata
    damaged/                                   files that were not what had been written

Runs, versions, shards (`content`), receipts, studies, queues and staged files are named by hashes.
A record that nothing could make again has a copy beside it, `<name>.copy.json`.
"""

from collections.abc import Mapping
from urllib.parse import quote

MARK = "protoscore.json"
RESERVE = "reserve"
SEALED_LAYOUT = 2
"""First version of the layout in which every file is sealed."""
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
FORGOTTEN = "forgotten"
STUDIES = "studies"
REVIEWS = "reviews"
DAMAGED = "damaged"
TOP_FOLDERS = (
    DATASETS,
    IMPORTS,
    RUNS,
    OUTPUTS,
    FEATURES,
    STAGING,
    EXPLANATIONS,
    TABLES,
    NIGHTS,
    JOBS,
    FORGOTTEN,
    STUDIES,
    REVIEWS,
    DAMAGED,
)

SHARDS = "shards"
RECEIPTS = "receipts"
LAYOUTS = "layouts"
CORRECTIONS = "corrections"
MANIFESTS = "manifests"
LOG_COPIES = "log_copies"
TRAINING = "training.safetensors"
TALLY = "epochs.parquet"
_DELTA_LOG = "_delta_log"
UNFINISHED = ".partial"
"""Ends the name of a file that is still being written."""
SAMPLE = "-rows"
"""Ends the name of logits of only some rows of a shard."""
_COPY = ".copy.json"


def versions_folder(dataset: str, split: str) -> str:
    """Return the folder of all versions of a split."""
    return f"{DATASETS}/{dataset}/{split}"


def version_path(dataset: str, split: str, version: str) -> str:
    """Return the path of a dataset version."""
    return f"{versions_folder(dataset, split)}/{version}.json"


def shards_folder(dataset: str) -> str:
    """Return the folder of a dataset's shards."""
    return f"{DATASETS}/{dataset}/{SHARDS}"


def shard_path(dataset: str, content: str) -> str:
    """Return the path of a shard."""
    return f"{shards_folder(dataset)}/{content}.parquet"


def receipts_folder(dataset: str) -> str:
    """Return the folder of a dataset's receipts."""
    return f"{DATASETS}/{dataset}/{RECEIPTS}"


def receipt_path(dataset: str, key: str) -> str:
    """Return the path of the receipt of one piece under its ids."""
    return f"{receipts_folder(dataset)}/{key}.json"


def layout_path(dataset: str, state: str) -> str:
    """Return the path of the layout read from one state of the training files."""
    return f"{DATASETS}/{dataset}/{LAYOUTS}/{state}.json"


def corrections_folder(dataset: str) -> str:
    """Return the folder of the records of corrected labels of a dataset."""
    return f"{DATASETS}/{dataset}/{CORRECTIONS}"


def corrections_path(dataset: str, job: str) -> str:
    """Return the path of the record of what a job changed of a dataset's corrections."""
    return f"{corrections_folder(dataset)}/{job}.json"


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
    return f"{RUNS}/{run}/{TRAINING}"


def tally_path(run: str) -> str:
    """Return the path of what a run added up of each example over its epochs."""
    return f"{RUNS}/{run}/{TALLY}"


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


def partition_folder(partition: Mapping[str, str]) -> str:
    """Return the folder of a partition in its table, from partition columns and their values."""
    return "/".join(f"{column}={quote(value, safe='')}" for column, value in partition.items())


def log_folder(table: str) -> str:
    """Return the folder of a Delta table's log."""
    return table_path(table, _DELTA_LOG)


def log_copies_folder(table: str) -> str:
    """Return the folder of the copies of a Delta table's log."""
    return f"{TABLES}/{LOG_COPIES}/{table}"


def manifest_path(data_path: str) -> str:
    """Return the path of the manifest of a data file of `scores`."""
    return f"{TABLES}/{MANIFESTS}/{stem(data_path)}.json"


def night_path(night: str) -> str:
    """Return the path of a night's record."""
    return f"{NIGHTS}/{night}.json"


def job_path(job: str) -> str:
    """Return the path of a job's record."""
    return f"{JOBS}/{job}.json"


def certificate_path(certificate: str) -> str:
    """Return the path of a certificate of forgotten examples."""
    return f"{FORGOTTEN}/{certificate}.json"


def study_path(study: str) -> str:
    """Return the path of the design of a human study."""
    return f"{STUDIES}/{study}.json"


def review_path(queue: str) -> str:
    """Return the path of the design of a label review."""
    return f"{REVIEWS}/{queue}.json"


def copy_path(path: str) -> str:
    """Return the path of the copy of a record that is written twice."""
    return f"{path.removesuffix('.json')}{_COPY}"


def original_path(path: str) -> str:
    """Return the path of the record that a path is, or is the copy of."""
    return f"{path.removesuffix(_COPY)}.json" if path.endswith(_COPY) else path


def damaged_path(path: str, tag: str) -> str:
    """Return where a damaged file is put aside; the tag keeps it apart from earlier ones."""
    return f"{DAMAGED}/{path}.{tag}"


def stem(path: str) -> str:
    """Return a file's name without folders and ending, which is the key that names it."""
    return path.rpartition("/")[2].rpartition(".")[0]
