"""One worker as its controller sees it: started, given calls, heard, and ended with its whole group."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from tunewright.core.ports import Objects, Task
from tunewright.executors import processes, wire
from tunewright.executors.clock import pause

C = TypeVar("C")

SEND_SECONDS = 10
END_SECONDS = 2.0
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
# -P: the user's directory must not shadow the modules that the worker itself needs; `path` is added by `main`.
_PROGRAM = (
    "import json, sys; given = json.loads(sys.argv[1]); sys.path.append(given.pop('root'));"
    "from tunewright.executors.functions.worker import main; main(**given)"
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a worker must have been started with to take a task.

    Args:
        path: what comes first on `sys.path`.
        environment: the request's variables; a library may read them once, when it is imported.
        around: the controller's own variables and its current directory, which may have changed since another began.
        threads: for BLAS and its like, unless the user's own environment says otherwise.
        devices: the GPUs that it may see, which a process chooses once for all; None where the host has none.
    """

    path: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    threads: int
    devices: tuple[str, ...] | None
    around: tuple[str, tuple[tuple[str, str], ...]] = ("", ())

    @classmethod
    def of(cls, task: Task, devices: tuple[str, ...] | None) -> Kind:
        """What a task needs, in the surroundings that this process has now."""
        training = task.training
        path = training.function.path if training.function is not None else ()
        here = ""
        with contextlib.suppress(FileNotFoundError):  # the directory may be gone
            here = os.getcwd()
        around = here, tuple(sorted(os.environ.items()))
        return cls(path, tuple(sorted(training.environment.items())), max(1, training.cpus), devices, around)


class WorkerProcess(Generic[C]):
    """A worker and the call it works on, if any.

    Args:
        kind: what it is started with.
        home: Tunewright's home directory.
        objects: where files are; handed to the worker.

    Attributes:
        call: what it was given and has not answered.
        ready: whether it has come up.
        job: the tuning job of its last call.
        idle_since: monotonic time.
        sources: the user's files that it has loaded, and their times of change.
        ending: it will take no more calls.
        marker: NAME=value in the environment of the worker and of all that it starts.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, kind: Kind, home: Path, objects: Objects) -> None:
        self.kind = kind
        self.call: C | None = None
        self.ready = False
        self.job = ""
        self.idle_since = 0.0
        self.sources: dict[str, int] = {}
        self.ending = False
        self.marker = f"TUNEWRIGHT_WORKER={uuid.uuid4().hex}"
        self._received = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        self._control, theirs = socket.socketpair()
        life, self._life = os.pipe()
        _lives.add(self)
        try:
            self._process = self._start(home, objects, theirs.fileno(), life)
        except OSError:
            self.release()
            raise
        finally:
            theirs.close()
            os.close(life)
        # Not `settimeout`: with that, even a read that must not wait does.
        self._control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", SEND_SECONDS, 0))

    def _start(self, home: Path, objects: Objects, control: int, life: int) -> subprocess.Popen[bytes]:
        given = {
            "root": str(Path(__file__).absolute().parents[3]),
            "control": control,
            "life": life,
            "home": str(home),
            "objects": base64.b64encode(pickle.dumps(objects)).decode(),
            "path": list(self.kind.path),
        }
        environment = dict.fromkeys(_THREADS, str(self.kind.threads))
        environment.update(os.environ)
        environment.update(self.kind.environment)
        environment.setdefault("PYTHONFAULTHANDLER", "1")
        name, _, value = self.marker.partition("=")
        environment[name] = value
        if self.kind.devices is not None:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(self.kind.devices)
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, json.dumps(given)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
            pass_fds=(control, life),
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        """The descriptor on which the worker is heard."""
        return self._control.fileno()

    def send(self, message: Mapping[str, Any], handles: Sequence[int]) -> None:
        """Give a request and descriptors to a worker that waits for one. Raises OSError when it is gone."""
        wire.send(self._control, json.dumps(message).encode(), handles)

    def hear(self) -> tuple[list[dict[str, Any]], bool]:
        """Messages that have come without waiting for any, and whether there may be more."""
        more = True
        try:
            while data := self._control.recv(1 << 16, socket.MSG_DONTWAIT):
                self._received += data
            more = False
        except BlockingIOError:
            pass
        except OSError:
            more = False
        *lines, self._received = self._received.split(b"\n")
        return [json.loads(line) for line in lines], more

    def signal(self, number: int) -> None:
        """Signal the worker alone; nothing happens when it has ended."""
        if self._process.returncode is None:
            with contextlib.suppress(OSError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End the worker and all of its group at once."""
        # While it is not waited for, its id, and so its group's, is its own.
        if self._process.returncode is None:
            processes.kill_group(self.pid, signal.SIGKILL)

    def dismiss(self) -> None:
        """Let an idle worker end by itself; its end is noticed like any other."""
        self.ending = True
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)

    def gone(self) -> bool:
        """Whether the worker has ended; it is not waited for yet."""
        if not hasattr(os, "waitid"):
            return self._process.poll() is not None
        try:
            options = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self.pid, options) is not None
        except ChildProcessError:
            return True

    def reap(self) -> int:
        """The exit code of a worker that has ended, negative for a signal; its group ends too."""
        self.kill()
        with contextlib.suppress(OSError):  # so that its socket says at once that there is no more
            self._control.shutdown(socket.SHUT_RD)
        return self._process.wait()

    def last_words(self) -> str:
        """The end of what a worker that has ended wrote while it had no call; can be asked once."""
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 2000))
        text = self._errors.read().decode("utf-8", "replace").strip()
        self._errors.close()
        return text

    def end(self) -> None:
        """End the worker now, after its socket was closed: an idle one may clean up, a busy one is killed."""
        self.detach()
        if self.call is None and self.ready:
            until = time.monotonic() + END_SECONDS
            # Not waited for: then its id would be nobody's, and what it started could not be ended by its group.
            while not self.gone() and time.monotonic() < until:
                pause(0.005)
        self.reap()
        self.release()

    def detach(self) -> None:
        """Forget the socket's descriptor, which somebody else closes."""
        self._control.detach()

    def release(self) -> None:
        """Close what this process holds of the worker; one that still runs is then ended by the kernel."""
        self._control.close()
        self.leave()
        self._errors.close()

    def leave(self) -> None:
        """Close this process's hold on the worker's life."""
        life, self._life = self._life, -1
        if life >= 0:
            os.close(life)


_lives: WeakSet[WorkerProcess[Any]] = WeakSet()


def _in_child() -> None:
    """A forked copy of the controller (by multiprocessing, say) must not keep workers alive after it."""
    for worker in list(_lives):
        worker.leave()


os.register_at_fork(after_in_child=_in_child)
