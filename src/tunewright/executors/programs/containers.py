"""Training images run by a container engine (docker, podman): the job's directory is mounted at `/opt/ml`.

The shim runs the engine's client in the foreground, so the program is the client as far as logs, exit code, locks and
re-adoption go. The container itself is nobody's child: it is ended by name, and found by its labels when everybody who
knew of it is gone.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunewright.core.ports import FIRST_HOST, Objects, Task
from tunewright.core.trial import Failure
from tunewright.executors import rooms
from tunewright.executors.clock import pause
from tunewright.executors.contract import access, inputs, pipes, prepare
from tunewright.executors.contract.cluster import Cluster
from tunewright.executors.contract.code import bring_code
from tunewright.executors.contract.files import script, write_config
from tunewright.executors.images import Image
from tunewright.executors.programs.program import Program
from tunewright.executors.programs.stage import Stage
from tunewright.executors.reasons import Refused
from tunewright.executors.workdir import Workdir

_LOG = logging.getLogger("tunewright")

LABEL = "tunewright"
COMMAND_SECONDS = 20.0
"""How long a command of the engine may take, other than running a container."""
LIST_TRIES = 3
"""How often an engine that is busy is asked for what is left of a training job."""
ENGINE_FAILED = 125
"""The client's exit code when no container was run: no such image, a wrong option, no daemon."""
NOT_RUN = (126, 127)
"""The client's exit codes when a container could not be started; a program in it may end with them as well."""
_SAID = re.compile(r"^(Error: |docker: ).*\bOCI\b", re.MULTILINE)
"""What the client says then, of whatever runs containers for it."""
LOST = "worker lost: the container still ran when the {} that ran it ended with exit code {}; it was removed."

_PLAIN_NAMES = (
    *("PATH", "HOME", "TMPDIR", "XDG_", "DOCKER_", "CONTAINER", "PODMAN_", "BUILDAH_", "LD_", "TUNEWRIGHT_"),
    # An engine may be a script.
    *("BASH", "SHELLOPTS", "PS4", "PYTHON", "PERL", "RUBY", "NODE_", "JAVA_", "GCONV_PATH", "GO"),
)


def container_name(home: str, task: Task) -> str:
    """The name of an attempt's container, which homes on one machine do not share."""
    return f"{LABEL}-{task.name}-{task.attempt}-{hashlib.sha256(home.encode()).hexdigest()[:8]}"


def run_quietly(words: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command of the engine to its end; exit code (-9 when it took too long) and what it printed."""
    reading, writing = os.pipe()
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    actions = [(os.POSIX_SPAWN_DUP2, handle, number) for number, handle in enumerate((null, writing, null))]
    try:
        pid = os.posix_spawn(words[0], list(words), environment, file_actions=actions, setpgroup=0, setsigmask=())
    except OSError:
        os.close(reading)
        return 127, ""
    finally:
        os.close(writing)
        os.close(null)
    with contextlib.closing(os.fdopen(reading, "rb")) as answer:
        until = time.monotonic() + COMMAND_SECONDS
        while (found := os.waitpid(pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return -signal.SIGKILL, ""
            pause(0.005)
        os.set_blocking(answer.fileno(), False)
        text = (answer.read() or b"").decode("utf-8", "replace")
    return os.waitstatus_to_exitcode(found[1]), text


class Container(Program):
    """A running container: the engine's client, and what it stands for.

    Args:
        engine: path of the engine's program.
        name: the container's.
    """

    def __init__(
        self,
        engine: str,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: str,
        logs: tuple[int, int],
    ) -> None:
        self._engine, self._name, self._environment = engine, name, environment
        self.left = False
        """The client ended, and the container was still there."""
        super().__init__(command, environment, directory, logs)

    def terminate(self, seconds: float) -> None:
        """SIGTERM to the container; to the client while there is none yet (it pulls the image)."""
        if self._tell("kill", "--signal", "TERM") != 0:
            super().terminate(seconds)

    def kill(self) -> None:
        """End container and client at once."""
        self._tell("kill")
        super().kill()

    def reap(self) -> int:
        """As a program, and nothing of the container stays."""
        code = super().reap()
        self.left = (code < 0 or code in NOT_RUN) and self._tell("container", "inspect", "--format={{.Id}}") == 0
        self._tell("rm", "--force")
        return code

    def _tell(self, *words: str) -> int:
        return run_quietly([self._engine, *words, self._name], self._environment)[0]


class ContainerStage(Stage):
    """The one host of a training job whose image is run by an engine."""

    def __init__(self, task: Task, main: Workdir, home: str, image: Image) -> None:
        super().__init__(task, Cluster.of(task.training), FIRST_HOST, main, roomy=False)
        self._image = image
        self._home = home
        self._engine = ""
        self._devices: Sequence[str] = ()
        self._client: Mapping[str, str] = {}
        self._way: Mapping[str, str] = {}
        self._programs = ""
        self._container: Container | None = None

    def prepare(
        self,
        objects: Objects,
        inherited: Mapping[str, str],
        devices: Sequence[str] | None,
        shares: Mapping[str, str] | None,
    ) -> None:
        """Bring everything into place."""
        task, workdir = self.task, self.workdir
        if task.training.hosts > 1:
            reason = (
                f"The image {task.training.image!r} is mapped to {self._image.engine}, which runs one instance of a"
                " training job; ask for one, or map the image to a Python interpreter."
            )
            raise Refused(Failure.CLIENT, reason)
        if (task.training.image or "").startswith("-"):  # the engine would take it for an option
            raise Refused(Failure.CLIENT, f"The image {task.training.image!r} begins with a hyphen.")
        engine = self._image.program()
        if engine is None:
            reason = f"There is no {self._image.engine} here, which the setting images names for {self._image.pattern}."
            raise Refused(Failure.CLIENT, reason)
        self._engine, self._devices = os.path.abspath(engine), devices or ()
        workdir.make()
        write_config(workdir, _as_inside(task))
        inputs.bring_channels(task, workdir, objects, rooms.OPT_ML, piped=True, shares=shares)
        pipes.make_pipes(task, workdir)
        bring_code(task, workdir, objects)
        for directory in (workdir.data, workdir.code):
            _replace_links(directory)
        self._way = {} if task.training.isolated else access.read(inherited)
        self._programs = inherited.get(access.VARIABLE, "")
        self._client = {
            **inherited,
            **{name: value for name, value in task.training.environment.items() if not _is_plain(name)},
            "TUNEWRIGHT_METRICS_FILE": workdir.stream("metrics"),  # by which lost processes are known
        }

    def start(self, mounts: rooms.Rooms, names: str | None) -> Program:
        """Run the image."""
        name = container_name(self._home, self.task)
        run_quietly([self._engine, "rm", "--force", name], self._client)
        self.command = [self._engine, *self._arguments(name)]
        logs = self.workdir.append("stdout"), self.workdir.append("stderr")
        try:
            self._container = Container(self._engine, name, self.command, self._client, self.workdir.base, logs)
        except OSError as error:
            why = f"{self._engine} cannot be started: {error.strerror or error}"
            raise Refused(Failure.CLIENT, why) from error
        finally:
            for handle in logs:
                os.close(handle)
        return self._container

    def refused(self, code: int) -> Refused | None:
        """Why no container was run, or nobody knows how it ended; None when one ran to its end."""
        if self._container is not None and self._container.left:
            return Refused(Failure.INTERNAL, LOST.format(self._image.engine, code))
        said = self._tail()
        if code == ENGINE_FAILED or (code in NOT_RUN and _SAID.search(said)):
            why = f"{self._image.engine} could not run the image {self.task.training.image!r}: {said}"
            return Refused(Failure.CLIENT, why)
        return None

    def tampered(self) -> Refused | None:
        """Links in the place of what is looked at outside: they would lead out of the container."""
        workdir = self.workdir
        own = (workdir.model, workdir.output, workdir.output_data, workdir.failure, workdir.checkpoints)
        ours = (workdir.at("model.tar.gz"), workdir.at("output.tar.gz"), workdir.exit, workdir.tombstone)
        for place in (*own, *ours):
            if os.path.islink(place):
                name = place.removeprefix(workdir.base)
                reason = f"The container put a link in the place of {rooms.OPT_ML}{name}; nothing of it is kept."
                return Refused(Failure.ALGORITHM, reason)
        return None

    def _arguments(self, name: str) -> list[str]:
        task, training = self.task, self.task.training
        words = ["run", "--rm", "--name", name]
        for label, value in labels(self._home, task).items():
            words += ["--label", f"{label}={value}"]
        words += ["--network", "none"] if training.isolated else []
        words += ["--env-file", self._programs] if self._way else []
        words += self._mounts()
        for variable, value in training.environment.items():
            words += ["--env", f"{variable}={value}" if _is_plain(variable) else variable]
        for variable, value in self._told().items():
            words += ["--env", f"{variable}={value}"]
        if self._devices:
            words += _gpus(self._image.engine, self._devices)
        words += self._image.options
        if training.entrypoint:
            first, *rest = training.entrypoint
            return [*words, "--entrypoint", first, training.image or "", *rest, *training.arguments]
        return [*words, training.image or "", *(training.arguments or ("train",))]

    def _told(self) -> dict[str, str]:
        """What the service itself sets; the SM_ variables are the toolkit's, inside."""
        task = self.task
        told = {"TRAINING_JOB_NAME": task.name, "TRAINING_JOB_ARN": task.arn, "AWS_REGION": task.region}
        told["TUNEWRIGHT_METRICS_FILE"] = f"{rooms.OPT_ML}/metrics.jsonl"
        if task.checkpoint_uri is not None:
            told["TUNEWRIGHT_CHECKPOINT_DIR"] = task.training.checkpoint_path
        return told

    def _mounts(self) -> list[str]:
        task, workdir = self.task, self.workdir
        places = [(workdir.base, rooms.OPT_ML, False)]
        for directory in prepare.read_only(task, workdir):
            places.append((directory, f"{rooms.OPT_ML}/input/data/{os.path.basename(directory)}", True))
        if authority := self._way.get(access.CA):
            places.append((authority, authority, True))
        if task.checkpoint_uri is not None:
            places.append((os.path.realpath(workdir.checkpoints), task.training.checkpoint_path, False))
        words = []
        for source, target, closed in places:
            fields = ["type=bind", f"source={source}", f"target={target}", *(["readonly"] if closed else [])]
            words += ["--mount", ",".join(map(_quoted, fields))]
        return words


def labels(home: str, task: Task) -> dict[str, str]:
    """What marks the container of an attempt."""
    return {f"{LABEL}.home": home, f"{LABEL}.job": task.name, f"{LABEL}.attempt": str(task.attempt)}


def end_remains(image: Image | None, home: str, task: Task) -> None:
    """Remove the container of an attempt whose shim is gone, if it has one."""
    engine = image.program() if image is not None and image.engine else None
    if engine is None:
        return
    filters = [word for pair in labels(home, task).items() for word in ("--filter", "label=" + "=".join(pair))]
    for _ in range(LIST_TRIES):
        code, listed = run_quietly([engine, "ps", "--all", "--quiet", *filters], os.environ)
        if code == 0:
            break
    else:
        _LOG.warning("%s: %s does not say whether a container of it is left; one may still run", task.name, engine)
    if identities := listed.split():
        run_quietly([engine, "rm", "--force", *identities], os.environ)


def _as_inside(task: Task) -> Task:
    """The task as its configuration files tell it inside: the source has been brought already."""
    if script(task.hyperparameters) is None:
        return task
    quoted = task.hyperparameters.get("sagemaker_submit_directory", "").startswith('"')
    place = f"{rooms.OPT_ML}/code"
    return replace(
        task,
        hyperparameters={**task.hyperparameters, "sagemaker_submit_directory": f'"{place}"' if quoted else place},
    )


def _replace_links(directory: str) -> None:
    """Replace links to files, which lead nowhere inside, by the files."""
    for folder, _, names in os.walk(directory):
        for name in names:
            path = f"{folder}/{name}"
            if os.path.islink(path) and os.path.isfile(path):
                shutil.copyfile(path, f"{path}.tunewright")
                shutil.copymode(path, f"{path}.tunewright")
                os.replace(f"{path}.tunewright", path)


def _is_plain(name: str) -> bool:
    """Whether a variable of the request would mean something to the client too; then its value is an argument."""
    return name.startswith(_PLAIN_NAMES)


def _quoted(field: str) -> str:
    """A field of a comma-separated value."""
    return '"' + field.replace('"', '""') + '"' if set(field) & {",", '"', "\n"} else field


def _gpus(engine: str, devices: Sequence[str]) -> list[str]:
    if os.path.basename(engine) == "podman":
        return [word for device in devices for word in ("--device", f"nvidia.com/gpu={device}")]
    return ["--gpus", f'"device={",".join(devices)}"']
