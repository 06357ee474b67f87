"""What one host of a training job needs before its program can be started, and the starting itself."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator, Mapping, Sequence

from tunewright.core.ports import Objects, Task
from tunewright.core.trial import Failure
from tunewright.executors import reasons, rooms
from tunewright.executors.contract import inputs, pipes, prepare, requirements
from tunewright.executors.contract.cluster import Cluster, task_of
from tunewright.executors.contract.code import bring_code
from tunewright.executors.contract.environment import environment
from tunewright.executors.contract.files import write_config
from tunewright.executors.images import Image
from tunewright.executors.programs.program import Program
from tunewright.executors.reasons import Refused
from tunewright.executors.workdir import Workdir


class Stage:
    """One host of a training job.

    Args:
        task: the training job as this host sees it: with the channels that are for it.
        workdir: this host's directory.
        packages: where what scripts require is installed; "" when it is not. Set before `prepare`.
        roomy: whether the kernel gives its program a room of its own.
        image: what the training image stands for.
    """

    def __init__(
        self, task: Task, cluster: Cluster, host: str, main: Workdir, *, roomy: bool, image: Image | None = None
    ) -> None:
        self.host = host
        self.task = task_of(task, cluster, host)
        self.workdir = main.of_host(host)
        self.command: Sequence[str] = ()
        self.packages = ""
        self._roomy = roomy
        self._mapped = image
        self._base = self.workdir.base
        self._names: str | None = None
        self._elsewhere: str | None = None
        self._python = ""
        self._script: str | None = None
        self._variables: dict[str, str] = {}

    def prepare(
        self,
        objects: Objects,
        inherited: Mapping[str, str],
        devices: Sequence[str] | None,
        shares: Mapping[str, str] | None,
    ) -> None:
        """Bring everything into place.

        Args:
            shares: where this host's shares of channels lie, by the channel's name (`inputs.shard`).
            inherited: variables that the program gets besides its own.
            devices: the GPUs it may see, or None.

        Raises:
            Refused: something is missing, or cannot be.
        """
        task, workdir = self.task, self.workdir
        self._python = prepare.interpreter(task, self._mapped)
        workdir.make()
        write_config(workdir, task, self.host)
        if self._roomy and not rooms.hides(workdir.base, sys.prefix, self._python):
            self._base = rooms.OPT_ML
        else:
            self._base = prepare.alias(task, workdir)
        prepare.show_checkpoints(task, workdir)
        needed = (workdir.base, sys.prefix, self._python)
        self._elsewhere = prepare.checkpoints_elsewhere(task, *needed, roomy=self._base == rooms.OPT_ML)
        inputs.bring_channels(task, workdir, objects, self._base, piped=True, shares=shares)
        pipes.make_pipes(task, workdir)
        self._script = bring_code(task, workdir, objects)
        if self._base != rooms.OPT_ML:
            prepare.protect(prepare.read_only(task, workdir))
        self._variables = environment(task, workdir, inherited, devices=devices, python=self._python, host=self.host)
        if self.packages and self._script is not None and not task.training.entrypoint:
            place = requirements.install(workdir, self._python, self.packages, self._variables)
            paths = [place, self._variables.get("PYTHONPATH", "")]
            self._variables["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)

    def start(self, mounts: rooms.Rooms, names: str | None) -> Program:
        """Start the program.

        Args:
            mounts: opens the room, a mount namespace of the program's own, that it is started in.
            names: a file that takes the place of /etc/hosts in its room, or None.

        Raises:
            Refused: it cannot be started.
        """
        with self._room(mounts, names):
            plan = prepare.plan(self.task, self._base, self._script, self._python, self._variables)
            self.command = plan.command
            # A script runs where a person finds it too; an entry point's shell may split a path with blanks.
            directory = plan.directory if self.task.training.entrypoint else self.workdir.code
            logs = self.workdir.append("stdout"), self.workdir.append("stderr")
            try:
                return Program(plan.command, self._variables, directory, logs)
            except OSError as error:
                why = f"{plan.command[0]} cannot be started: {error.strerror or error}"
                raise Refused(Failure.CLIENT, why + _advice(error)) from error
            finally:
                for handle in logs:
                    os.close(handle)

    @contextlib.contextmanager
    def _room(self, mounts: rooms.Rooms, names: str | None) -> Iterator[None]:
        """Where the program is started: a room of its own, if there are any."""
        with contextlib.ExitStack() as stack:
            if self._base == rooms.OPT_ML:
                served = prepare.read_only(self.task, self.workdir)
                files = {} if names is None else {rooms.NAMES: names}
                kept = {self._elsewhere: os.path.realpath(self.workdir.checkpoints)} if self._elsewhere else {}
                try:
                    room = mounts.opened(self.workdir.base, read_only=served, files=files, directories=kept)
                    stack.enter_context(room)
                except OSError as error:
                    if self._elsewhere and not os.path.isdir(self._elsewhere):
                        why = f"no directory can be made there ({error.strerror or error})"
                        raise prepare.no_checkpoints(self.task.training.checkpoint_path, why) from error
                    reason = f"The program could not be given its own /opt/ml: {error.strerror or error}"
                    raise Refused(Failure.INTERNAL, reason) from error
            yield

    def refused(self, code: int) -> Refused | None:
        """Why the program was not started after all, or None when it was: its exit code and log tell."""
        why = Program.refusal(code, self._tail() if code in (126, 127) else "")
        return Refused(Failure.CLIENT, f"{self.command[0]} cannot be started: {why}") if why else None

    def tampered(self) -> Refused | None:
        """Why nothing that the program left behind is looked at, or None."""
        return None

    def _tail(self) -> str:
        return reasons.tail(self.workdir)

    def close(self) -> None:
        """Remove what lies outside the directory."""
        if self._base not in (self.workdir.base, rooms.OPT_ML):
            prepare.drop_alias(self._base)
            self._base = self.workdir.base


def _advice(error: OSError) -> str:
    advice = {
        "ENOEXEC": " (a script needs a first line such as #!/bin/sh)",
        "ENOENT": " (is the interpreter that its first line names there?)",
        "E2BIG": " (hyperparameters and environment are too large for the command line)",
    }
    return advice.get(errno.errorcode.get(error.errno or 0, ""), "")
