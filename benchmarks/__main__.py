"""Run benchmarks, print a table and write build/bench.json.

python -m benchmarks [NAME ...]      run the named figures; without a name, all of them
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    adversarial,
    agreement,
    dynamics,
    estimates,
    jobs,
    out_of_bag,
    publishing,
    representers,
    scale,
    scaling,
    sealing,
    training,
)

Result = dict[str, object]
BENCHMARKS: dict[tuple[str, ...], Callable[[], list[Result]]] = {
    ("train_vs_eager", "dp_vs_plain"): training.measure,
    ("agr_vs_loop",): agreement.measure,
    tuple(adversarial.WANTED): adversarial.measure,
    (
        "vog_vs_floor",
        "vog_vs_per_example_loop",
        "vog_memory_k30_vs_k3",
        "dynamics_extra",
    ): dynamics.measure,
    (
        "representer_vs_gradient_descent_time",
        "representer_residual",
        "topk_vs_float32_time",
    ): representers.measure,
    ("representer_memory_1e6_mb",): representers.scale,
    ("ray_overhead",): jobs.ray_overhead,
    ("fleet_overhead_s",): jobs.fleet_overhead,
    ("trial_vs_night", "plan_vs_night"): estimates.measure,
    ("scaling_1_to_2",): scaling.scaling,
    ("ray_overhead_200_shards",): scaling.many_shards,
    ("driver_rss_growth_mb",): scale.driver_memory,
    ("query_1e7_s",): publishing.query,
    ("out_of_bag_share",): out_of_bag.share,
    ("sealing_digits", "sealing_fashion_mnist"): sealing.share,
}
"""Figures and the function that measures them, all figures of a function in one run."""
OUTPUT = Path("build/bench.json")


def main(names: list[str]) -> int:
    """Run the named benchmarks and return the exit code."""
    known = [name for group in BENCHMARKS for name in group]
    if unknown := set(names) - set(known):
        print(f"expected any of {', '.join(known)}, got {', '.join(unknown)}", file=sys.stderr)
        return 2
    results: list[Result] = []
    print(f"{'name':<24} {'value':>8} {'unit':<5} {'want':<8} note")
    for group, measure in BENCHMARKS.items():
        if not names or set(group) & set(names):
            results += measure()
            for result in results[-len(group) :]:
                print(
                    f"{result['name']:<24} {result['value']:>8.3g} {result['unit']:<5} "
                    f"{result['want']:<8} {result['note']}",
                    flush=True,
                )
    _write(results)
    return 0


def _write(results: list[Result]) -> None:
    """Write the results, and keep earlier results of benchmarks that did not run."""
    earlier = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else []
    new = {result["name"] for result in results}
    OUTPUT.parent.mkdir(exist_ok=True)
    kept = [result for result in earlier if result["name"] not in new]
    OUTPUT.write_text(json.dumps([*kept, *results], indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
