"""A trial: a little of each kind of work, timed in this process, for want of earlier nights.

Nets are timed on examples of the store, or on noise while nothing is ingested. Nothing is written
to the store.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from ray_jobs.jobs.pace import Pace, training_kind, weigh
from ray_jobs.night.account import OTHER, STAGES
from ray_jobs.night.estimate import Rates
from ray_jobs.night.forecast import Forecast
from ray_jobs.night.situation import Situation
from scoring.data.ingest import ingest_piece
from scoring.data.shapes import Inputs
from scoring.data.shards import read_shard
from scoring.data.texts import TextShape
from scoring.data.training_set import TrainingSet
from scoring.errors import UserError
from scoring.inputs import as_input
from scoring.nets import build
from scoring.run_spec import NetSpec, Privacy, RunSpec
from scoring.store.storage import Storage
from scoring.training.loop import train

_START_S = 10.0  # until the workers of a stage have come up (docs/scale.md)
_SOLVE_S = 1e-4  # for a row of a layer at rest; 60,000 rows of 256 features took 3.4 s
_AIM_S = 0.5  # to time one net
_FEW = 8  # rows to begin with, to see how long a row takes
_INGESTED = 256  # rows at most
_PRIVACY = Privacy(epsilon=8.0, delta=1e-6, accountant="rdp")  # quick to account for


def try_out(ahead: Forecast) -> Rates:
    """Time a little of each kind of work that a night has to do.

    Raises:
        UserError: nets run on a GPU, and this machine has none.
    """
    situation = ahead.situation
    device = situation.fleet.hardware.device
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--trial: expected a machine with a GPU, as for --device cuda, got none")
    began = time.perf_counter()
    examples = _examples(situation)
    with _one_thread():
        paces = [*_ingest(situation), *_training(ahead, examples), *_scoring(ahead, examples)]
    took = time.perf_counter() - began
    return Rates(
        paces={pace.kind: pace for pace in paces},
        waits=dict.fromkeys([*STAGES, OTHER], _START_S),
        basis=f"a trial of {took:.0f} s on this machine",
    )


def _examples(situation: Situation) -> Inputs:
    """Return examples as nets see them: those of a shard, or noise."""
    shape, request = situation.layout.shape, situation.request
    for survey in situation.surveys.values():
        for shard in survey.shards:
            if shard.record:
                name = request.source.name
                return read_shard(request.storage, name, shard.record, shape).inputs
    noise = np.random.default_rng(0).integers(0, 256, (_INGESTED, *shape.dims))
    if isinstance(shape, TextShape):
        return noise.astype(np.int16)
    return noise.astype(np.uint8)


def _ingest(situation: Situation) -> list[Pace]:
    """Ingest some rows into a store of their own."""
    if not situation.to_ingest:
        return []
    planned = situation.to_ingest[0]
    rows = min(planned.piece.rows, _INGESTED)
    planned = replace(planned, piece=replace(planned.piece, rows=rows))
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        ingest_piece(situation.request.source, Storage(folder), situation.layout, planned)
        return [Pace(kind="ingest", amount=rows, seconds=time.perf_counter() - began)]


def _training(ahead: Forecast, examples: Inputs) -> list[Pace]:
    """Train a few batches of each kind of run; fine-tuning goes like other training."""
    situation, paces = ahead.situation, []
    share = _share(situation, situation.request.flags.machine.gpus_per_run)
    for run in {training_kind(run): run for run in ahead.missing_runs}.values():
        if run.kind == "representer":
            paces.append(Pace(kind=training_kind(run), amount=1.0, seconds=_SOLVE_S))
        elif run.kind != "imported":
            seconds = _row_seconds(partial(_epoch_seconds, run, examples))
            paces.append(Pace(kind=training_kind(run), amount=1.0, seconds=seconds / share))
    return paces


def _epoch_seconds(run: RunSpec, examples: Inputs, rows: int) -> float:
    """Return how long an epoch on some rows takes, after a first one."""
    data = TrainingSet(
        ids=np.arange(rows),
        inputs=np.resize(examples, (rows, *examples.shape[1:])),
        labels=np.arange(rows) % 2,
        classes=2,
    )
    recipe = replace(run.recipe, epochs=3, min_steps=0, until_flat=0.0)
    spec = replace(run, parent=None, left_out=None, recipe=recipe)
    if spec.kind == "private":
        spec = replace(spec, privacy=_PRIVACY)
    else:
        spec = replace(spec, kind="plain")
    ends: list[float] = []
    train(spec, data, on_epoch=lambda _: ends.append(time.perf_counter()))
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def _scoring(ahead: Forecast, examples: Inputs) -> list[Pace]:
    """Time forward passes of every net, and backward passes of the base net."""
    if not ahead.shards_to_score:
        return []
    situation, passes = ahead.situation, ahead.passes
    machine, base = situation.request.flags.machine, situation.fleet.fleet.base.net
    share = _share(situation, machine.gpus_per_scorer)
    nets = [run.net for run in ahead.runs]
    forward = {net: _pass_seconds(ahead, net, examples, backward=False) for net in {*nets}}
    mean = sum(forward[net] for net in nets) / len(nets)
    seconds = passes.forward * mean
    if passes.backward:
        there_and_back = _pass_seconds(ahead, base, examples, backward=True)
        seconds += passes.backward * max(0.0, there_and_back - forward.get(base, mean))
    return [
        Pace(kind="score", amount=weigh(passes), seconds=seconds / share),
        Pace(kind="features", amount=1.0, seconds=mean / share),
    ]


def _pass_seconds(ahead: Forecast, net: NetSpec, examples: Inputs, *, backward: bool) -> float:
    """Return how long a pass of one example takes in a full batch, forward or there and back."""
    situation = ahead.situation
    device, layout = situation.fleet.hardware.device, situation.layout
    model = build(net, shape=layout.shape.dims, classes=len(layout.classes))
    model.requires_grad_(False)
    model.eval().to(device=device).to(memory_format=torch.channels_last)

    def once(rows: int) -> float:
        batch = np.resize(examples, (rows, *examples.shape[1:]))
        inputs = as_input(torch.from_numpy(batch).to(device))
        model(inputs.requires_grad_(backward))
        began = time.perf_counter()
        logits = model(inputs)
        if backward:
            torch.autograd.grad(logits.sum(), inputs)
        logits.detach().cpu()  # waits for a GPU
        return time.perf_counter() - began

    return _row_seconds(once, situation.request.flags.machine.batch_rows)


def _row_seconds(measure: Callable[[int], float], most: int = 256) -> float:
    """Return the seconds of a row, in batches as large as time allows."""
    few = measure(_FEW) / _FEW
    rows = max(_FEW, min(most, int(_AIM_S / max(few, 1e-9))))
    return measure(rows) / rows


def _share(situation: Situation, of_gpu: float) -> float:
    """Return the speed of a worker next to one alone: workers that share a GPU share its speed."""
    return min(1.0, of_gpu) if situation.fleet.hardware.device == "cuda" else 1.0


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread, as workers do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
