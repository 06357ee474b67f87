"""Time for the loop: it neither jumps nor runs backwards."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

from tunewright.control.clock import SteadyClock
from tunewright.control.owner import is_dead, this_process


class Machine:
    def __init__(self) -> None:
        self.wall, self.steady = 1000.0, 5.0

    def clock(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.steady)


def test_setting_the_wall_clock_changes_nothing() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.steady += 30
    assert clock.now() == 1030
    machine.wall -= 3600
    machine.steady += 90
    assert clock.now() == 1120


def test_a_store_from_the_future_moves_the_clock_forward_only() -> None:
    machine = Machine()
    clock = machine.clock()
    clock.at_least(900)
    assert clock.now() == 1000
    clock.at_least(1500)
    machine.steady += 1
    assert clock.now() == 1501


def test_this_process_is_alive_and_an_ended_one_is_dead() -> None:
    me = this_process()
    assert me.pid == os.getpid() and not is_dead(me)
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    assert is_dead(replace(me, pid=int(child.stdout), started=me.started + 1))


def test_a_reused_pid_and_another_boot_are_dead_and_another_host_never_is() -> None:
    me = this_process()
    assert is_dead(replace(me, started=me.started - 1))
    assert is_dead(replace(me, boot="another"))
    assert not is_dead(replace(me, host="elsewhere", boot="another", pid=1))
