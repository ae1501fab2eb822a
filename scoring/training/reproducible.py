"""Make a training give the same weights wherever it runs: seeds, threads, kernels."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derived_seed(seed: int, purpose: str) -> int:
    """Derive a 63-bit seed for one purpose of the run with `seed`."""
    return int.from_bytes(hashlib.sha256(f"{purpose}:{seed}".encode()).digest()[:8]) >> 1


def generator(seed: int, purpose: str, device: str = "cpu") -> torch.Generator:
    """Make a random stream, independent of the run's streams for other purposes."""
    return torch.Generator(device).manual_seed(derived_seed(seed, purpose))


@contextmanager
def reproducible(threads: int, device: str) -> Iterator[None]:
    """Compute with `threads` threads; restore the caller's threads and random state afterwards."""
    callers_threads = torch.get_num_threads()
    gpus = [torch.cuda.current_device()] if device == "cuda" else []
    with torch.random.fork_rng(gpus), torch.enable_grad(), _deterministic_kernels(device):
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(callers_threads)


def seed_default_generators(seed: int, device: str) -> None:
    """Seed the generators that initialisation and dropout draw from."""
    torch.default_generator.manual_seed(seed)
    if device == "cuda":
        torch.cuda.manual_seed(seed)


@contextmanager
def _deterministic_kernels(device: str) -> Iterator[None]:
    """On a GPU, prefer kernels that add in a fixed order; CPU kernels always do."""
    if device != "cuda":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
