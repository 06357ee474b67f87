"""The speed benchmarks, one after the other: `make bench`. Quality has its own command (`benchmarks.quality`)."""

from __future__ import annotations

import runpy
import sys

for room in ("store", "growth", "executor", "functions", "overhead", "loglines", "service"):
    name = f"benchmarks.{room}"
    print(f"== {name}", flush=True)
    sys.argv = [name]
    runpy.run_module(name, run_name="__main__")
