"""Run one framework on one case, in a process of its own.

Each line of standard input is a number of steps; each line of output has their seconds. Run as
`python -m benchmarks.core.framework_process FRAMEWORK CASE`; the environment holds the number of
threads.
"""

import importlib
import json
import resource
import sys
import time

WARM_UP_SECONDS = 4.0
"""Time that each framework has to compile, fuse or record before the measurement."""


def main() -> None:
    """Build, warm up, then answer each line with a measurement."""
    started = time.perf_counter()
    framework, name = sys.argv[1:3]
    side = importlib.import_module(f"benchmarks.core.frameworks.{framework}")
    cases = importlib.import_module("benchmarks.core.cases")
    case = cases.CASES[name]
    step = side.build(case, *cases.data(case))
    step(1)
    first = time.perf_counter() - started
    warm = time.perf_counter() + WARM_UP_SECONDS
    while time.perf_counter() < warm:
        step(max(1, case.steps // 10))
    print(json.dumps({"first_step_seconds": first}), flush=True)
    for line in sys.stdin:
        before = time.perf_counter()
        step(int(line))
        seconds = time.perf_counter() - before
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "peak_bytes": peak}), flush=True)


if __name__ == "__main__":
    main()
