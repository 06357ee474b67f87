"""What the local executor adds to a training job, against running the same script with `subprocess.run`.

    python benchmarks/executor.py [--jobs 100]

Jobs run one after another. Wall time is the median of a job; CPU time is that of everything involved (this
process, the fork server, shims and programs), divided by the number of jobs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tunewright.core.ports import ExitReport, Task
from tunewright.core.spec import Training
from tunewright.executors.bell import Bell
from tunewright.executors.programs.executor import LocalExecutor
from tunewright.executors.slots import Slots

SCRIPT = "print('loss=0.5;')\n"


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and of all children it waited for, to a clock tick."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def cpu_of_family(pid: int) -> float:
    """CPU seconds of a process, its living children, and everything that either waited for."""
    total = cpu_of(pid)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text(errors="replace").rpartition(")")[2].split()[1]) == pid:
                total += cpu_of(int(stat.parent.name))
    return total


def own_cpu() -> float:
    mine, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime


def bare(script: Path, jobs: int) -> tuple[list[float], float]:
    walls, before = [], own_cpu()
    for _ in range(jobs):
        at = time.perf_counter()
        subprocess.run([sys.executable, str(script), "--lr", "0.1"], stdout=subprocess.DEVNULL, check=True)
        walls.append(time.perf_counter() - at)
    return walls, (own_cpu() - before) / jobs


class Executor:
    def __init__(self, directory: Path) -> None:
        home = directory / "home"
        self._directory = directory
        self._executor = LocalExecutor(home, directory / "objects", Slots(home / "slots", "4"), Bell())
        self._count = 0
        self.run_one()

    def run_one(self) -> None:
        self._count += 1
        values = {"lr": "0.1", "sagemaker_program": "train.py"}
        values["sagemaker_submit_directory"] = (self._directory / "source").as_uri()
        training = Training(output_path=(self._directory / "output").as_uri())
        task = Task("bench", f"bench-{self._count}", 1, self._count, training, values)
        if self._executor.launch(task) is None:
            raise RuntimeError("no free slot")
        while True:
            for report in self._executor.poll():
                if isinstance(report, ExitReport):
                    if report.exit_code != 0:
                        raise RuntimeError(str(report))
                    self._executor.forget(task.name, 1)
                    return
            self._executor.wait(10)

    def measure(self, jobs: int) -> tuple[list[float], float]:
        server = self._executor.server_pid or 0
        walls, before = [], own_cpu() + cpu_of_family(server)
        for _ in range(jobs):
            at = time.perf_counter()
            self.run_one()
            walls.append(time.perf_counter() - at)
        return walls, (own_cpu() + cpu_of_family(server) - before) / jobs

    def close(self) -> None:
        self._executor.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100)
    jobs = parser.parse_args().jobs
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "source").mkdir()
        script = directory / "source" / "train.py"
        script.write_text(SCRIPT, encoding="utf-8")
        executor = Executor(directory)
        rounds = 5
        plain_walls, plain_cpu, walls, cpu = [], 0.0, [], 0.0
        for _ in range(rounds):  # taken in turns, so that a busy machine disturbs both alike
            some, used = bare(script, jobs // rounds)
            plain_walls += some
            plain_cpu += used / rounds
            some, used = executor.measure(jobs // rounds)
            walls += some
            cpu += used / rounds
        executor.close()
    result = {
        "jobs": jobs,
        "bare_wall_ms": statistics.median(plain_walls) * 1e3,
        "wall_ms": statistics.median(walls) * 1e3,
        "added_wall_ms": (statistics.median(walls) - statistics.median(plain_walls)) * 1e3,
        "bare_cpu_ms": plain_cpu * 1e3,
        "cpu_ms": cpu * 1e3,
        "added_cpu_ms": (cpu - plain_cpu) * 1e3,
    }
    print(json.dumps({name: round(value, 2) for name, value in result.items()}, indent=2))


if __name__ == "__main__":
    main()
