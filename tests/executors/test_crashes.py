"""What is killed without warning, and what is found of it afterwards. Real processes, real SIGKILLs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tunewright.core.ports import PhaseReport, Task
from tunewright.core.spec import Channel, Function, InstanceGroup, Instances, MetricDefinition, Training
from tunewright.core.trial import Failure, Phase
from tunewright.executors.claims import claim
from tunewright.executors.codec import task_from_json, task_to_json
from tunewright.testing.executor_suite import COUNTED, WAITS

from .bench import Bench, alive

TWO = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""

CONTROLLER = """
import json, sys
from pathlib import Path
from tunewright.executors.bell import Bell
from tunewright.executors.codec import task_from_json
from tunewright.executors.programs.executor import LocalExecutor
from tunewright.executors.slots import Slots

home, objects = Path(sys.argv[1]), Path(sys.argv[2])
executor = LocalExecutor(home, objects, Slots(home / "slots", "4"), Bell())
for line in sys.stdin:
    print(executor.launch(task_from_json(json.loads(line))), executor.server_pid, flush=True)
"""


class Controller:
    """Another process that launches tasks; to be killed."""

    def __init__(self, bench: Bench) -> None:
        command = [sys.executable, "-c", CONTROLLER, str(bench.home), str(bench.objects)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def launch(self, line: str) -> tuple[str, int]:
        """A task's handle, and the process id of its fork server."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        handle, server = self.process.stdout.readline().split()
        return handle, int(server)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


GONE = """
import os, shutil, subprocess, sys, time
base = os.path.dirname(os.getcwd())
while not os.path.exists(os.environ["GO"]):
    time.sleep(0.005)
if os.environ["HOW"] == "removed":
    shutil.rmtree(base)
else:
    os.rename(base, os.environ["HOW"])
open(os.environ["GO"] + "ne", "w").close()
if os.environ.get("ENDS"):
    sys.exit(0)
time.sleep(600)
"""


def without_a_directory(bench: Bench, name: str, how: str, **environment: str) -> tuple[Task, int]:
    """A training job whose program did away with its own directory and goes on, and the program's process id."""
    go = bench.root / "go"
    how = how if how == "removed" else str(bench.root / how)
    task = bench.task(name, GONE, environment={"GO": str(go), "HOW": how, **environment})
    bench.executor.launch(task)
    program = bench.pid(name, "program")
    go.touch()
    bench.seen.until((bench.root / "gone").exists)
    return task, program


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_program_without_its_directory_runs_on_and_is_killed(bench: Bench, how: str) -> None:
    task, program = without_a_directory(bench, "gone-1", how)
    assert alive(program) and not bench.seen.exits("gone-1")
    bench.executor.kill(replace(task, grace=0.0))
    report = bench.seen.exit("gone-1")
    assert (report.killed, report.failure) == (True, None)
    assert not alive(program)


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_program_that_ends_without_its_directory_has_failed_and_is_told_why(bench: Bench, how: str) -> None:
    without_a_directory(bench, "gone-2", how, ENDS="yes")
    report = bench.seen.exit("gone-2")
    assert (report.failure, report.exit_code, report.model) == (Failure.ALGORITHM, 0, "")
    assert f"{bench.job('gone-2')} was removed or renamed while the training job ran" in report.reason
    bench.start()
    bench.executor.watch(bench.task("gone-2"), "handle")
    assert bench.seen.exit("gone-2") == report, "it is on record"


def test_a_program_without_its_directory_outlives_the_fork_server(bench: Bench) -> None:
    task, program = without_a_directory(bench, "gone-3", "removed")
    server = bench.executor.server_pid
    assert server is not None
    os.kill(server, signal.SIGKILL)
    bench.seen.until(lambda: bench.executor.server_pid is None)
    bench.executor.kill(replace(task, grace=0.0))
    assert bench.seen.exit("gone-3").killed
    assert not alive(program)


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_another_controller_ends_a_program_without_its_directory(bench: Bench, how: str) -> None:
    task, program = without_a_directory(bench, "gone-4", how)
    bench.start()
    bench.executor.watch(task, "handle")
    report = bench.seen.exit("gone-4")
    assert (report.failure, report.killed) == (Failure.ALGORITHM, False)
    assert "was removed or renamed while the training job ran" in report.reason
    assert not alive(program)


@pytest.mark.parametrize("guarded", [True, False])
def test_a_killed_shim_takes_its_program_with_it(bench: Bench, guarded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where setpriv can be found the kernel sees to it, else the controller does."""
    if not guarded:
        monkeypatch.setenv("PATH", str(bench.root))
    bench.executor.launch(bench.task("shim-1", TWO))
    bench.seen.said("shim-1", b"\n")
    program, child = bench.pid("shim-1", "program"), int(bench.stdout("shim-1"))
    os.kill(bench.pid("shim-1", "shim"), signal.SIGKILL)
    report = bench.seen.exit("shim-1")
    assert (report.failure, report.exit_code, report.killed) == (Failure.INTERNAL, None, False)
    assert "worker lost" in report.reason and report.started is not None
    assert not alive(program) and not alive(child)
    bench.start()
    bench.executor.watch(bench.task("shim-1", TWO), "handle")
    assert bench.seen.exit("shim-1") == report


HIDDEN = """
import os, subprocess, sys, time
sink = {"log": None, "nowhere": subprocess.DEVNULL}[os.environ["SAYS"]]
sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(sleeper, start_new_session=True, env={}, cwd="/", stdout=sink, stderr=sink)
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="found through /proc, or by a kernel that hands orphans up")
@pytest.mark.parametrize("says", ["log", "nowhere"])
def test_what_hid_from_a_killed_shim_is_ended(bench: Bench, says: str) -> None:
    """It left the session, dropped its environment and its directory, and maybe its output too."""
    bench.executor.launch(bench.task("hidden-1", HIDDEN, environment={"SAYS": says}))
    bench.seen.said("hidden-1", b"\n")
    child = int(bench.stdout("hidden-1"))
    os.kill(bench.pid("hidden-1", "shim"), signal.SIGKILL)
    assert bench.seen.exit("hidden-1").failure is Failure.INTERNAL
    bench.gone(child)
    assert bench.run(bench.task("hidden-2", "pass")).exit_code == 0, "the fork server goes on"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="found through /proc")
def test_what_still_writes_to_the_log_is_ended_by_the_next_controller(bench: Bench) -> None:
    task = bench.task("hidden-3", HIDDEN, environment={"SAYS": "log"})
    controller = Controller(bench)
    handle, server = controller.launch(json.dumps(task_to_json(task)))
    bench.seen.said("hidden-3", b"\n")
    child = int(bench.stdout("hidden-3"))
    controller.kill()
    bench.gone(server)
    os.kill(bench.pid("hidden-3", "shim"), signal.SIGKILL)
    bench.executor.watch(task, handle)
    assert bench.seen.exit("hidden-3").failure is Failure.INTERNAL
    assert not alive(child)


def test_a_lost_end_is_not_put_into_the_directory_of_another_job(bench: Bench) -> None:
    task = replace(bench.task("lost-1"), uid="one")
    other = claim(bench.home, replace(task, uid="other"))
    bench.executor.watch(task, "handle")
    assert bench.seen.exit("lost-1").failure is Failure.INTERNAL
    assert not Path(other.exit).exists()


def test_a_lost_attempt_can_be_tried_again(bench: Bench) -> None:
    task = bench.task("shim-2", "import os, time\nprint('x', flush=True)\ntime.sleep(600)\n")
    bench.executor.launch(task)
    bench.seen.said("shim-2", b"x")
    os.kill(bench.pid("shim-2", "shim"), signal.SIGKILL)
    assert bench.seen.exit("shim-2").failure is Failure.INTERNAL
    bench.source("shim-2", "print('second')")
    assert bench.run(replace(task, attempt=2)).exit_code == 0
    assert bench.executor.read("shim-2", 2, "stdout", 0, 100) == b"second\n"
    assert bench.stdout("shim-2") == "x\n"


def test_a_killed_program_is_a_failure_of_its_own(bench: Bench) -> None:
    bench.executor.launch(bench.task("prog-1", "import time\nprint('x', flush=True)\ntime.sleep(600)\n"))
    bench.seen.said("prog-1", b"x")
    os.kill(bench.pid("prog-1", "program"), signal.SIGKILL)
    report = bench.seen.exit("prog-1")
    assert (report.failure, report.exit_code) == (Failure.ALGORITHM, -9)


def test_shims_survive_their_fork_server(bench: Bench) -> None:
    gate = bench.root / "gate"
    task = bench.task("server-1", WAITS, environment={"GATE": str(gate)})
    bench.executor.launch(task)
    bench.seen.said("server-1", b"started")
    server = bench.executor.server_pid
    assert server is not None
    os.kill(server, signal.SIGKILL)
    bench.seen.until(lambda: bench.executor.server_pid is None)
    assert bench.run(bench.task("server-2", "pass")).exit_code == 0
    gate.touch()
    assert bench.seen.exit("server-1").exit_code == 0
    assert bench.stdout("server-1") == "started\nended\n"


def test_a_shim_killed_after_its_fork_server_is_noticed(bench: Bench) -> None:
    bench.executor.launch(bench.task("server-3", TWO))
    bench.seen.said("server-3", b"\n")
    server, program = bench.executor.server_pid, bench.pid("server-3", "program")
    assert server is not None
    os.kill(server, signal.SIGKILL)
    bench.seen.until(lambda: bench.executor.server_pid is None)
    os.kill(bench.pid("server-3", "shim"), signal.SIGKILL)
    assert bench.seen.exit("server-3").failure is Failure.INTERNAL
    assert not alive(program)


def test_training_goes_on_when_the_controller_is_killed(bench: Bench) -> None:
    gate = bench.root / "gate"
    task = bench.task("control-1", WAITS, environment={"GATE": str(gate)})
    controller = Controller(bench)
    handle, server = controller.launch(json.dumps(task_to_json(task)))
    bench.seen.said("control-1", b"started")
    controller.kill()
    bench.gone(server)
    shim = bench.pid("control-1", "shim")
    assert alive(shim)
    bench.executor.watch(task, handle)
    assert bench.executor.poll() == []
    gate.touch()
    report = bench.seen.exit("control-1")
    assert (report.exit_code, report.killed) == (0, False)
    assert (bench.root / "out put" / "control-1" / "output" / "model.tar.gz").exists()


def test_it_ends_while_nobody_looks(bench: Bench) -> None:
    gate = bench.root / "gate"
    task = bench.task("control-2", WAITS, environment={"GATE": str(gate)})
    controller = Controller(bench)
    handle, _ = controller.launch(json.dumps(task_to_json(task)))
    bench.seen.said("control-2", b"started")
    controller.kill()
    shim = bench.pid("control-2", "shim")
    gate.touch()
    bench.gone(shim)
    bench.executor.watch(task, handle)
    assert bench.seen.exit("control-2").exit_code == 0
    phases = [r.phase for r in bench.seen.reports if hasattr(r, "phase")]
    assert phases == [Phase.DOWNLOADING, Phase.TRAINING, Phase.UPLOADING]


def test_a_training_job_ends_when_its_model_is_stored_and_a_failed_one_with_its_program(bench: Bench) -> None:
    text = "import os\nopen(os.environ['SM_MODEL_DIR'] + '/w', 'wb').write(os.urandom(20 << 20))\n"
    for name, more in (("stored", ""), ("failed", "raise SystemExit(3)")):
        bench.executor.launch(bench.task(name, text + more))
    for name in ("stored", "failed"):
        report = bench.seen.exit(name)
        uploading = max(r.at for r in bench.seen.reports if isinstance(r, PhaseReport) and r.name == name)
        assert report.ended is not None and report.ended >= uploading
        if name == "stored":
            model = bench.root / "out put" / name / "output" / "model.tar.gz"
            assert report.ended >= model.stat().st_mtime


def test_the_grace_goes_on_when_the_controller_is_killed(bench: Bench) -> None:
    """The shim counts: the order was given, then everybody who gave it is gone."""
    text = "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: print('told', flush=True))\n"
    text += "print('started', flush=True)\nwhile True: time.sleep(0.01)\n"
    task = replace(bench.task("control-3", text), grace=0.5)
    controller = Controller(bench)
    controller.launch(json.dumps(task_to_json(task)))
    bench.seen.said("control-3", b"started")
    other = bench.start()
    other.kill(task)
    other.close()
    bench.open.remove(other)
    controller.kill()
    bench.gone(bench.pid("control-3", "program"))
    bench.gone(bench.pid("control-3", "shim"))
    bench.start()
    bench.executor.watch(task, None)
    report = bench.seen.exit("control-3")
    assert report.killed and "told" in bench.stdout("control-3")


def test_a_controller_and_shim_killed_together_leave_a_lost_task(bench: Bench) -> None:
    task = bench.task("control-4", TWO)
    controller = Controller(bench)
    handle, server = controller.launch(json.dumps(task_to_json(task)))
    bench.seen.said("control-4", b"\n")
    child = int(bench.stdout("control-4"))
    program = bench.pid("control-4", "program")
    controller.kill()
    bench.gone(server)
    os.kill(bench.pid("control-4", "shim"), signal.SIGKILL)
    bench.executor.watch(task, handle)
    assert bench.seen.exit("control-4").failure is Failure.INTERNAL
    assert not alive(program) and not alive(child)


def test_a_killed_shim_frees_its_slots(bench: Bench) -> None:
    bench.start("1")
    bench.executor.launch(bench.task("frees-1", "import time\nprint('x', flush=True)\ntime.sleep(600)\n"))
    bench.seen.said("frees-1", b"x")
    assert bench.executor.launch(bench.task("frees-2", "pass")) is None
    os.kill(bench.pid("frees-1", "shim"), signal.SIGKILL)
    bench.seen.exit("frees-1")
    assert bench.run(bench.task("frees-2", "pass")).exit_code == 0


def test_a_machine_that_goes_down_interrupts(bench: Bench) -> None:
    """SIGTERM to the shim without an order, as a service manager sends it to everything."""
    task = bench.task("down-1", "import time\nprint('x', flush=True)\ntime.sleep(600)\n")
    bench.executor.launch(task)
    bench.seen.said("down-1", b"x")
    os.kill(bench.pid("down-1", "shim"), signal.SIGTERM)
    report = bench.seen.exit("down-1")
    assert (report.failure, report.killed) == (Failure.INTERRUPTED, False)
    assert not alive(bench.pid("down-1", "program"))


@pytest.mark.parametrize("number", range(3))
def test_two_controllers_start_a_task_once(bench: Bench, number: int) -> None:
    name, count = f"twice-{number}", bench.root / "count"
    task = bench.task(name, COUNTED + "import time\ntime.sleep(0.2)\n", environment={"COUNT": str(count)})
    first = bench.executor
    second = bench.start()
    for place, executor in enumerate((first, second)):
        executor.launch(bench.task(f"warm-{number}-{place}", "pass"))  # so that each has its fork server
    barrier = threading.Barrier(2)

    def start(executor: object) -> None:
        barrier.wait()
        executor.launch(task)  # type: ignore[attr-defined]

    threads = [threading.Thread(target=start, args=(executor,)) for executor in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bench.seen.exit(name).exit_code == 0
    assert count.read_text(encoding="utf-8") == "start\nend\n"


def test_many_at_once(bench: Bench) -> None:
    bench.start("8")
    waiting = [bench.task(f"many-{number}", "print('hello')") for number in range(40)]
    tasks = list(waiting)
    while waiting:
        while waiting and bench.executor.launch(waiting[0]) is not None:
            waiting.pop(0)
        bench.seen.reports += bench.executor.poll()
        bench.executor.wait(0.2)
    for task in tasks:
        assert bench.seen.exit(task.name).exit_code == 0
        assert len(bench.seen.exits(task.name)) == 1


def test_a_task_survives_the_journey() -> None:
    whole = Training(
        image="i",
        metrics=(MetricDefinition("a", "b"),),
        channels=(
            Channel("train", "s3://b/k", content_type="text/csv"),
            Channel("lines", "s3://b/l", "AugmentedManifestFile", groups=("g",), attributes=("a", "b"), seed=4),
        ),
        instance_groups=(InstanceGroup("g", "ml.m5.large", 2),),
        alternatives=(Instances("ml.c5.large", 2),),
        output_path="s3://b/o",
        static={"a": "b"},
        environment={"A": "ü"},
        entrypoint=("x",),
        arguments=("y", "z"),
        python="python3",
        function=Function("m:f", True, ("/p",)),
        max_runtime=3.5,
    )
    sent = Task("j", "n", 2, 3, whole, {"lr": "0.1"}, "loss", 1.5, "arn", "eu-1", "s3://c")
    assert task_from_json(json.loads(json.dumps(task_to_json(sent)))) == sent


def test_an_end_that_cannot_be_read_is_a_failure_of_its_own_and_of_no_other(bench: Bench) -> None:
    spoils = """
import os
os.mkdir(os.path.join(os.path.dirname(os.environ["TUNEWRIGHT_METRICS_FILE"]), "exit.json"))
"""
    bench.executor.launch(bench.task("spoils-1", spoils))
    bench.executor.launch(bench.task("sound-1", "print('well')"))
    assert bench.seen.exit("sound-1").exit_code == 0
    report = bench.seen.exit("spoils-1")
    assert report.failure is Failure.INTERNAL and "cannot be read" in report.reason
