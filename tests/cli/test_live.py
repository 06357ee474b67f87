"""The command line as people meet it: real processes, real signals, a real terminal."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tunewright import assembly

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes through /proc")

COMMAND = [sys.executable, "-m", "tunewright"]
PATIENCE = 120.0
"""Seconds after which a condition that was waited for is given up."""
QUICK = """\
import argparse
p = argparse.ArgumentParser()
p.add_argument("--rate", type=float)
rate = p.parse_args().rate
print(f"acc={1 - (rate - 0.03) ** 2};")
"""
SLOW = """\
import os, signal, time
if os.environ.get("DEAF"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("acc=0.5;", flush=True)
while not os.path.exists("{go}"):
    time.sleep(0.1)
"""
FILE = """\
name: live
strategy: Random
objective: {metric: acc}
max_jobs: 4
max_parallel_jobs: 2
seed: 1
parameters: {rate: {type: continuous, min: 0.001, max: 0.1}}
training:
  entry_point: train.py
  metrics: {acc: "acc=(.*?);"}
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory with a tuning file and a home; whatever still runs below it is ended afterwards."""
    (tmp_path / "train.py").write_text(QUICK)
    (tmp_path / "live.yaml").write_text(FILE)
    yield tmp_path
    for pid in running(tmp_path):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def running(place: Path) -> list[int]:
    """Processes whose environment names this home and that are not over."""
    mark = f"TUNEWRIGHT_HOME={place / 'home'}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def programs(place: Path) -> list[int]:
    """Training programs of this home."""
    return [pid for pid in running(place) if "train.py" in " ".join(_command(pid))]


def _command(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    return []


def environment(place: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TUNEWRIGHT_")}
    return {**kept, "TUNEWRIGHT_HOME": str(place / "home"), "OMP_NUM_THREADS": "1", **more}


@pytest.fixture
def tunewright(
    place: Path, cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Result]]:
    """A command line in this process, with its own engine: as a process of its own, without the start-up."""
    for name, value in environment(place).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(place)
    before = logging.getLogger("tunewright").handlers
    yield cli
    assembly.close_all()
    logging.getLogger("tunewright").handlers = before


def until(done: Callable[[], Any], what: str, there: Callable[[], object] = str) -> Any:
    """Wait until something is true; `there` tells what was there instead."""
    deadline = time.monotonic() + PATIENCE
    while not (found := done()):
        assert time.monotonic() < deadline, f"waited in vain for {what}; there was:\n{there()}"
        select.select([], [], [], 0.05)
    return found


class Running:
    """A `tunewright run` of programs that do not end by themselves."""

    def __init__(self, place: Path, **more: str) -> None:
        (place / "train.py").write_text(SLOW.format(go=place / "go"))
        self.place = place
        self.out = place / "out"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [*COMMAND, "run", "live.yaml", "-v"], cwd=place, env=environment(place, **more), stdout=out, stderr=out
            )

    @property
    def text(self) -> str:
        return self.out.read_text()

    def until_said(self, text: str, times: int = 1) -> None:
        def said() -> bool:
            assert self.process.poll() is None or self.text.count(text) >= times, self.text
            return self.text.count(text) >= times

        until(said, f"{text!r}", lambda: self.text)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def code(self) -> int:
        return self.process.wait(PATIENCE)


Command = Callable[..., Result]


def shown(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_run_and_all_that_looks_at_it(tunewright: Command) -> None:
    done = tunewright("run", "live.yaml")
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.stdout and "Tuning job live Completed" in done.stdout
    best = shown(tunewright("best", "live", "--json"))
    assert isinstance(best["HyperParameters"]["rate"], float)
    rows = shown(tunewright("export", "live", "--json"))
    assert (
        max(row["FinalObjectiveValue"] for row in rows) == best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    )
    assert "live" in tunewright("list").stdout
    assert tunewright("replay", "live").exit_code == 0
    assert "acc=" in tunewright("logs", "live", "1").stdout
    healthy = tunewright("doctor")
    assert healthy.exit_code == 0, healthy.stdout
    more = tunewright("resume", "live", "--add-jobs", "2")
    assert more.exit_code == 0 and "all 6 training jobs have run" in more.stdout
    assert tunewright("delete", "live").exit_code == 0
    assert tunewright("describe", "live").exit_code == 2


def test_strict_uploads_and_completes(tunewright: Command, place: Path) -> None:
    done = tunewright("run", "live.yaml", "--strict")
    assert done.exit_code == 0, done.output
    described = shown(tunewright("describe", "live", "--json"))
    assert described["TrainingJobDefinition"]["OutputDataConfig"]["S3OutputPath"].startswith("s3://")
    best = shown(tunewright("best", "live", "--json"))
    assert Path(best["ModelPath"]).is_relative_to(place / "home" / "objects")
    assert "strict mode" in tunewright("resume", "live").stderr


def test_a_detached_job_goes_on_and_is_watched(tunewright: Command, place: Path) -> None:
    command = [*COMMAND, "run", "live.yaml", "--detach"]
    left = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert "Watch it: tunewright watch live" in left.stdout
    watched = tunewright("watch", "live")
    assert watched.exit_code == 0, watched.output
    assert "Tuning job live Completed" in watched.stdout


def test_case_43_ctrl_c_stops_and_a_stopped_job_is_resumed(place: Path, tunewright: Command) -> None:
    run = Running(place)
    run.until_said("epoch 1", 2)
    run.interrupt()
    assert run.code() == 130, run.text
    assert "stopping 2 jobs, again to force" in run.text
    assert "Best acc: 0.5" in run.text and "tunewright resume live" in run.text
    assert shown(tunewright("describe", "live", "--json"))["HyperParameterTuningJobStatus"] == "Stopped"
    assert programs(place) == []
    (place / "go").touch()
    resumed = tunewright("resume", "live")
    assert resumed.exit_code == 0, resumed.output
    assert "2 training jobs have ended before." in resumed.stdout
    assert "all 4 training jobs have run" in resumed.stdout


def test_case_43_ctrl_c_twice_is_gone_at_once_though_programs_are_deaf(place: Path, tunewright: Command) -> None:
    run = Running(place, DEAF="1")
    run.until_said("epoch 1", 2)
    run.interrupt()
    run.until_said("again to force")
    run.interrupt()
    assert run.code() == 130, run.text
    until(lambda: not programs(place), "the training programs to be gone")
    until(lambda: "Stopped" in tunewright("list").stdout, "the job to be Stopped")


def test_a_killed_run_leaves_a_job_that_nobody_runs_until_it_is_stopped(place: Path, tunewright: Command) -> None:
    run = Running(place)
    run.until_said("epoch 1", 2)
    run.process.kill()
    run.process.wait()
    assert "nobody runs it; take it over: tunewright resume live" in tunewright("list").stdout
    stopped = tunewright("stop", "live")
    assert stopped.exit_code == 0 and "is Stopped" in stopped.stdout
    assert programs(place) == []


def test_a_run_that_is_told_to_end_says_what_goes_on(place: Path, tunewright: Command) -> None:
    run = Running(place)
    run.until_said("epoch 1", 2)
    run.process.terminate()
    assert run.code() == -signal.SIGTERM
    assert "Ended by SIGTERM; training jobs of live that run go on, and no new ones begin." in run.text
    assert "Go on: tunewright resume live" in run.text
    stopped = tunewright("stop", "live")
    assert stopped.exit_code == 0 and "is Stopped" in stopped.stdout


def test_a_terminal_has_a_live_region_of_at_most_twelve_lines(place: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(place)
        os.execvpe(COMMAND[0], [*COMMAND, "run", "live.yaml"], environment(place, TERM="xterm", COLUMNS="60"))
    data = b""
    with suppress(OSError):
        while more := os.read(terminal, 65536):
            data += more
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, data.decode()
    text = data.decode()
    ups = [int(lines) for lines in re.findall(r"\x1b\[(\d+)A\x1b\[J", text)]
    assert ups and max(ups) <= 12
    assert "4/4" in text and "Tuning job live Completed" in text
