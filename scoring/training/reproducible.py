"""What makes a training give the same weights wherever it runs: seeds, threads, kernels."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derived_seed(seed: int, purpose: str) -> int:
    """A 63-bit seed for one purpose of the run with `seed`."""
    return int.from_bytes(hashlib.sha256(f"{purpose}:{seed}".encode()).digest()[:8]) >> 1


def generator(seed: int, purpose: str, device: str = "cpu") -> torch.Generator:
    """A stream of random numbers, independent of those for the run's other purposes."""
    return torch.Generator(device).manual_seed(derived_seed(seed, purpose))


@contextmanager
def reproducible(threads: int, device: str) -> Iterator[None]:
    """Compute with `threads` threads; leave the caller's threads and random numbers untouched."""
    ambient = torch.get_num_threads()
    gpus = [torch.cuda.current_device()] if device == "cuda" else []
    with torch.random.fork_rng(gpus), torch.enable_grad(), _deterministic_kernels(device):
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(ambient)


def seed_default_generators(seed: int, device: str) -> None:
    """Seed what nets draw from when nobody hands them a generator: initialisation, dropout."""
    torch.default_generator.manual_seed(seed)
    if device == "cuda":
        torch.cuda.manual_seed(seed)


@contextmanager
def _deterministic_kernels(device: str) -> Iterator[None]:
    """On a GPU prefer kernels that add in a fixed order; those of the CPU always do."""
    if device != "cuda":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read as cuBLAS starts
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
