"""Slots of this host: how many training jobs may run at once, counted in file locks.

A slot is a file below `<home>/slots` and is taken while somebody holds its `flock`. The lock goes with the file
descriptor to the process that looks after the training job, so a crash of anything frees a slot exactly when the
work is gone. Processes that share a home share its slots; inside each file stands which controller took it.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunewright.core.errors import Invalid
from tunewright.executors.clock import now

WANT_SECONDS = 2.0
"""A controller waits for slots for so long after it last found none free."""

MAX_TOGETHER = 200
"""CPU slots that one task takes at most: each is an open file that travels to another process."""

_REMEDY = "Correct TUNEWRIGHT_SLOTS, or slots in tunewright.toml; without either they are counted."
_SETTING = re.compile(r"(cpus?|gpus?)\s*=\s*(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a host offers: CPU slots, and its GPUs' names as `CUDA_VISIBLE_DEVICES` spells them."""

    cpus: int
    gpus: tuple[str, ...] = ()


@dataclass(slots=True)
class Held:
    """Slots that were taken. They stay taken while any process keeps one of the descriptors open.

    Args:
        fds: one open, locked file for each slot; pass them to the process that does the work, then `close`.
        devices: the GPUs among them.
    """

    fds: tuple[int, ...]
    devices: tuple[str, ...] = ()

    def close(self) -> None:
        """Close this process's copies; without another copy elsewhere the slots are free again."""
        for fd in self.fds:
            os.close(fd)
        self.fds = ()


def counts(setting: str) -> tuple[int | None, int | None]:
    """The CPU slots and GPUs that a setting such as `8` or `cpu=8,gpu=2` names; None is what it leaves out.

    Raises:
        Invalid: the setting is neither a number nor of that form.
    """
    cpus: int | None = None
    gpus: int | None = None
    for part in filter(None, (piece.strip() for piece in setting.split(","))):
        found = _SETTING.fullmatch(part)
        if part.isdecimal() and part.isascii():
            cpus = int(part)
        elif found and found[1].lower().startswith("cpu"):
            cpus = int(found[2])
        elif found:
            gpus = int(found[2])
        else:
            raise Invalid.one(
                "slots", f"{setting!r} is not a number such as 8, nor text of the form cpu=8,gpu=2. {_REMEDY}"
            )
    if cpus == 0:
        raise Invalid.one("slots", f"{setting!r} leaves no CPU slot; at least 1 is needed. {_REMEDY}")
    return cpus, gpus


def capacity(setting: str = "", environment: Mapping[str, str] | None = None) -> Capacity:
    """This host's slots from a setting such as `8` or `cpu=8,gpu=2`; what it leaves out is detected.

    Raises:
        Invalid: the setting is neither a number nor of that form.
    """
    cpus, gpus = counts(setting)
    devices = detect_gpus(os.environ if environment is None else environment) if gpus != 0 else ()
    if gpus is not None:
        devices = (*devices, *(str(index) for index in range(len(devices), gpus)))[:gpus]
    return Capacity(max(4, os.cpu_count() or 1) if cpus is None else cpus, devices)


def detect_gpus(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The GPUs that may be used: those of `CUDA_VISIBLE_DEVICES`, else all that NVIDIA's driver knows."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",") if name.strip()]
        # CUDA ignores everything from the first impossible index on; -1 is the usual way to hide all.
        return tuple(names[: names.index("-1")] if "-1" in names else names)
    with contextlib.suppress(OSError):
        return tuple(str(index) for index in range(len(os.listdir("/proc/driver/nvidia/gpus"))))
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        listing = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    lines = [line for line in listing.stdout.splitlines() if line.startswith("GPU ")]
    return tuple(str(index) for index in range(len(lines)))


class Slots:
    """The slots below a home directory, as one controller sees them.

    Args:
        directory: `<home>/slots`; made when first needed.
        setting: the text that `capacity` reads.
    """

    def __init__(self, directory: Path | str, setting: str) -> None:
        self._directory = os.fspath(directory)
        self._setting = setting
        self._capacity: Capacity | None = None
        self._me = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._want: int | None = None

    @property
    def capacity(self) -> Capacity:
        """What this host offers; detected at the first question. Raises Invalid for a bad setting."""
        if self._capacity is None:
            self._capacity = capacity(self._setting)
        return self._capacity

    def impossible(self, gpus: int) -> str:
        """Why this host can never offer so many GPUs, or "" when it can; CPU slots are cut to what there is."""
        have = len(self.capacity.gpus)
        if gpus <= have:
            return ""
        return (
            f"the training job asks for {gpus} GPUs and this host has {have} (CUDA_VISIBLE_DEVICES, NVIDIA's driver)."
            f" Ask for fewer, or say what there is with TUNEWRIGHT_SLOTS=gpu={gpus}"
        )

    def acquire(self, cpus: int, gpus: int = 0) -> Held | None:
        """Take slots now, all or none; None when they are not free or it is others' turn. Never waits.

        A task that wants more CPU slots than there are gets them all. None also leaves word that this
        controller waits: others that hold more than their share then take no further slot before it.
        """
        cpus = min(max(cpus, 1), self.capacity.cpus, MAX_TOGETHER)
        os.makedirs(self._directory, exist_ok=True)
        taken: dict[str, int] = {}
        if self._my_turn(cpus):
            taken = self._take([f"cpu-{index}" for index in range(self.capacity.cpus)], cpus)
            if len(taken) == cpus:
                taken |= self._take([_file(device) for device in self.capacity.gpus], gpus)
        if len(taken) == cpus + gpus:
            self._stop_waiting()
            devices = tuple(device for device in self.capacity.gpus if _file(device) in taken)
            return Held(tuple(taken.values()), devices)
        Held(tuple(taken.values())).close()
        self._start_waiting()
        return None

    def close(self) -> None:
        """Wait for slots no more; what was acquired stays."""
        self._stop_waiting()

    # ---- locks ----

    def _take(self, names: Sequence[str], count: int) -> dict[str, int]:
        """Locked descriptors of the first free slots, by name; fewer than `count` when there are not enough."""
        taken: dict[str, int] = {}
        for name in names:
            if len(taken) == count:
                break
            fd = self._lock(f"{self._directory}/{name}")
            if fd is not None:
                os.pwrite(fd, self._me.encode().ljust(64), 0)
                taken[name] = fd
        return taken

    def _lock(self, path: str) -> int | None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return fd

    # ---- fairness ----

    def _my_turn(self, cpus: int) -> bool:
        """Whether taking so many keeps this controller within its fair share, or nobody else waits for it."""
        waiting = self._others_waiting()
        if not waiting:
            return True
        holders = self._holders()
        active = set(holders) | waiting | {self._me}
        share = math.ceil(self.capacity.cpus / len(active))
        mine = holders.get(self._me, 0)
        short = any(holders.get(other, 0) < share for other in waiting)
        return mine == 0 or mine + cpus <= share or not short

    def _others_waiting(self) -> set[str]:
        """Controllers that said lately that they wait for slots and are still alive."""
        folder = f"{self._directory}/want"
        try:
            names = [name for name in os.listdir(folder) if name != self._me]
        except FileNotFoundError:
            return set()
        waiting = set()
        for name in names:
            path = f"{folder}/{name}"
            with contextlib.suppress(FileNotFoundError):
                age = now() - os.stat(path).st_mtime
                if self._is_locked(path):
                    waiting |= {name} if age < WANT_SECONDS else set()
                else:
                    os.unlink(path)
        return waiting

    def _holders(self) -> dict[str, int]:
        """How many CPU slots each controller holds."""
        holders: dict[str, int] = {}
        for index in range(self.capacity.cpus):
            path = f"{self._directory}/cpu-{index}"
            with contextlib.suppress(FileNotFoundError):
                if self._is_locked(path):
                    with open(path, encoding="ascii", errors="replace") as file:
                        owner = file.read(64).strip()
                    holders[owner] = holders.get(owner, 0) + 1
        return holders

    def _is_locked(self, path: str) -> bool:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def _start_waiting(self) -> None:
        path = f"{self._directory}/want/{self._me}"
        if self._want is None:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self._want = self._lock(path)
        else:
            os.utime(path)

    def _stop_waiting(self) -> None:
        if self._want is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._directory}/want/{self._me}")
            os.close(self._want)
            self._want = None


def _file(device: str) -> str:
    """The name of a GPU's slot."""
    return f"gpu-{re.sub(r'[^A-Za-z0-9-]', '_', device)}"
