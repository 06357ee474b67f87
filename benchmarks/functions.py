"""What the function executor adds to a call of a trivial Python function.

    python benchmarks/functions.py [--jobs 1000] [--pause 0.002]

Calls run one after another, each as a training job of its own: launched, run by a warm worker, reported, its
metrics read. Wall time is the median from launch to report. CPU time is the controller's and its worker's, divided
by the number of jobs. Between jobs the controller pauses as long as its other work takes (its database, a
strategy); meanwhile the worker makes the next job's directory.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from tunewright.core.ports import ExitReport, Task
from tunewright.core.spec import Training
from tunewright.executors.bell import Bell
from tunewright.executors.functions.executor import FunctionExecutor
from tunewright.executors.functions.store import store_function
from tunewright.executors.slots import Slots
from tunewright.objects.local import LocalObjects


def train(x: float) -> float:
    return (x - 0.3) ** 2


def cpu_of(pid: int) -> float:
    """CPU seconds of a process, to a clock tick."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, home: Path) -> None:
        self.executor = FunctionExecutor(home, LocalObjects(home / "objects"), Slots(home / "slots", "4"), Bell())
        self._training = Training(function=store_function(train, home), output_path=(home / "output").as_uri())

    def run_one(self, number: int) -> None:
        values = {"x": repr(number / 7), "_tuning_objective_metric": "loss"}
        task = Task("bench", f"bench-{number:05d}", 1, number, self._training, values, objective="loss")
        if self.executor.launch(task) is None:
            raise RuntimeError("no free slot")
        while True:
            for report in self.executor.poll():
                if isinstance(report, ExitReport):
                    if report.failure is not None or not self.executor.read(task.name, 1, "metrics", 0, 4096):
                        raise RuntimeError(report.reason)
                    self.executor.forget(task.name, 1)
                    return
            self.executor.wait(10.0)


def measure(home: Path, jobs: int, pause: float) -> dict[str, float]:
    bench = Bench(home)
    at = time.perf_counter()
    bench.run_one(0)
    first = time.perf_counter() - at
    (worker,) = bench.executor.worker_pids()
    walls = []
    mine, workers = time.process_time(), cpu_of(worker)
    for number in range(1, jobs + 1):
        at = time.perf_counter()
        bench.run_one(number)
        walls.append(time.perf_counter() - at)
        if pause:
            time.sleep(pause)
    mine, workers = time.process_time() - mine, cpu_of(worker) - workers
    bench.executor.close()
    return {
        "jobs": jobs,
        "pause_ms": pause * 1e3,
        "first_ms": round(first * 1e3, 1),
        "wall_ms_median": round(statistics.median(walls) * 1e3, 3),
        "wall_ms_best_tenth": round(statistics.quantiles(walls, n=10)[0] * 1e3, 3),
        "controller_cpu_ms": round(mine / jobs * 1e3, 3),
        "worker_cpu_ms": round(workers / jobs * 1e3, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--pause", type=float, default=0.002, help="seconds between jobs")
    given = parser.parse_args()
    for pause in (given.pause, 0.0):
        with tempfile.TemporaryDirectory(prefix="tunewright-bench-") as directory:
            print(json.dumps(measure(Path(directory), given.jobs, pause)), flush=True)


if __name__ == "__main__":
    main()
