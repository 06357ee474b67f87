"""A storm of SIGKILLs on shims, fork servers, programs and controllers: nothing starts twice, nothing is forgotten."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable

import pytest

from tunewright.core.ports import ExitReport, Task
from tunewright.core.trial import Failure

from .bench import Bench, alive

LINE = """
import os, random, time
place = os.environ["COUNT"]
with open(place, "a") as file:
    file.write("start\\n")
time.sleep(random.random() * 0.3)
with open(place, "a") as file:
    file.write("end\\n")
"""


def shim_and_program(bench: Bench, name: str) -> list[int]:
    try:
        lines = (bench.job(name) / "lock").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [int(line.split()[1]) for line in lines if line.startswith(("shim ", "program "))]


class Storm:
    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench = bench
        self.random = random.Random(seed)
        self.tasks: dict[str, Task] = {}
        self.killed: set[str] = set()
        self.shot: set[int] = set()
        self.exits: dict[str, ExitReport] = {}

    def add(self, number: int) -> None:
        name = f"storm-{number}"
        self.tasks[name] = self.bench.task(name, LINE, environment={"COUNT": str(self.bench.root / name)})

    def poll(self) -> None:
        for report in self.bench.executor.poll():
            if isinstance(report, ExitReport):
                assert self.exits.setdefault(report.name, report) == report, "an end that changes is no end"

    def open(self) -> list[str]:
        return [name for name in self.tasks if name not in self.exits]

    def restart(self) -> None:
        """The controller is lost: its fork server with it; a new one takes everything over that is not over."""
        server = self.bench.executor.server_pid
        self.poll()
        self.bench.executor.close()
        self.bench.open.pop()
        if server is not None:
            self.bench.seen.until(lambda: not alive(server)) if self.bench.open else None
        self.bench.start("4")
        for name in self.open():
            if self.random.random() < 0.5:
                self.bench.executor.watch(self.tasks[name], None if not self.started(name) else "handle")

    def started(self, name: str) -> bool:
        return bool(shim_and_program(self.bench, name))

    def shoot(self, pid: int | None) -> None:
        if pid is not None:
            self.shot.add(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def shoot_a_task(self) -> None:
        names = [name for name in self.open() if shim_and_program(self.bench, name)]
        if names:
            self.shoot(self.random.choice(shim_and_program(self.bench, self.random.choice(names))))

    def kill_a_task(self) -> None:
        if names := self.open():
            name = self.random.choice(names)
            self.killed.add(name)
            self.bench.executor.kill(self.tasks[name])

    def act(self) -> None:
        acts: list[tuple[float, Callable[[], None]]] = [
            (0.03, lambda: self.shoot(self.bench.executor.server_pid)),
            (0.05, self.shoot_a_task),
            (0.05, self.kill_a_task),
            (0.02, self.restart),
        ]
        for chance, act in acts:
            if self.random.random() < chance:
                act()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_storm(bench: Bench, seed: int) -> None:
    storm = Storm(bench, seed)
    bench.start("4")
    for number in range(60):
        storm.add(number)
    rounds = 0
    while storm.open():
        rounds += 1
        assert rounds < 5000, f"never ended: {storm.open()}"
        for name in storm.open():
            if bench.executor.launch(storm.tasks[name]) is None:
                break
        if rounds < 1500:
            storm.act()
        bench.executor.wait(0.02)
        storm.poll()
    for name, report in storm.exits.items():
        lines = (bench.root / name).read_text(encoding="utf-8") if (bench.root / name).exists() else ""
        assert lines in ("", "start\n", "start\nend\n"), f"{name} started twice: {lines!r}"
        if report.failure is None and not report.killed:
            assert lines == "start\nend\n", name
        if report.failure is Failure.INTERNAL or report.exit_code == -9:
            known = set(shim_and_program(bench, name))
            assert not known or known & storm.shot, f"{name} was lost without having been hit: {report}"
        assert not report.killed or name in storm.killed
        assert not any(alive(pid) for pid in shim_and_program(bench, name)[1:]), "a program is left"
    assert threading.active_count() < 20
