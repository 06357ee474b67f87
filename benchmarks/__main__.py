"""The speed benchmarks, one after the other: `make bench`. Quality has its own command (`benchmarks.quality`)."""

from __future__ import annotations

import runpy
import sys

for name in ("benchmarks.store", "benchmarks.growth", "benchmarks.executor", "benchmarks.functions", "benchmarks.overhead"):
    print(f"== {name}", flush=True)
    sys.argv = [name]
    runpy.run_module(name, run_name="__main__")
