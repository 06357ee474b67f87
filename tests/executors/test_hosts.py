"""Training jobs of several hosts: each a process with a name, a directory, inputs and logs of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from tunewright.core.ports import Task
from tunewright.core.spec import Channel, Function, InstanceGroup, Training
from tunewright.core.trial import Failure
from tunewright.executors import rooms
from tunewright.executors.contract.cluster import Cluster, write_names
from tunewright.executors.contract.environment import environment
from tunewright.executors.contract.files import resource_config
from tunewright.executors.workdir import Workdir

from .bench import Bench

OBSTACLE = rooms.obstacle()
ME = "import json, os, sys, time\nhost = os.environ['SM_CURRENT_HOST']\nbase = os.environ['SAGEMAKER_BASE_DIR']\n"
MEET = """
def meet(what, hosts):
    place = os.environ["MEETING"] + what
    open(f"{place}-{host}", "w").close()
    until = time.monotonic() + 60
    while not all(os.path.exists(f"{place}-{other}") for other in hosts) and time.monotonic() < until:
        time.sleep(0.01)
"""


def several(bench: Bench, name: str, text: str, hosts: int = 2, **training: object) -> Task:
    given = {"instance_count": hosts, "environment": {"MEETING": f"{bench.root}/met-{name}-"}, **training}
    return bench.task(name, ME + MEET + text, **given)  # type: ignore[arg-type]


def said(bench: Bench, name: str, host: str, stream: str = "stdout") -> str:
    return bench.executor.read(name, 1, f"{host}/{stream}", 0, 1 << 20).decode()


# ---- what each finds ----

TELLS = """
meet("all", json.loads(os.environ["SM_HOSTS"]))
config = json.load(open(base + "/input/config/resourceconfig.json"))
print(json.dumps([host, config, os.environ["SM_HOSTS"], os.getpgrp() == os.getpid(), sorted(os.listdir("."))]))
print("to stderr", file=sys.stderr)
open(os.environ["SM_MODEL_DIR"] + "/" + host, "w").write(host)
open(os.environ["SM_MODEL_DIR"] + "/shared", "w").write(host)
os.makedirs(os.environ["SM_MODEL_DIR"] + "/part")
open(os.environ["SM_MODEL_DIR"] + "/part/" + host, "w").write(host)
open(os.environ["SM_OUTPUT_DATA_DIR"] + "/" + host, "w").write(host)
"""


def test_hosts_run_at_once_and_their_models_come_together(bench: Bench) -> None:
    report = bench.run(several(bench, "three", TELLS, 3))
    assert (report.exit_code, report.failure, report.reason) == (0, None, "")
    for number in (1, 2, 3):
        host, config, hosts, leads, source = json.loads(said(bench, "three", f"algo-{number}"))
        assert host == config["current_host"] == f"algo-{number}"
        assert config["hosts"] == json.loads(hosts) == ["algo-1", "algo-2", "algo-3"]
        assert leads and source == ["train.py"]
        assert said(bench, "three", f"algo-{number}", "stderr") == "to stderr\n"
    assert bench.stdout("three") == said(bench, "three", "algo-1")
    base = bench.root / "out put" / "three" / "output"
    with tarfile.open(base / "model.tar.gz") as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        found = {name: file.read().decode() for name, file in files.items() if file is not None}
    assert found == {
        **{f"algo-{k}": f"algo-{k}" for k in (1, 2, 3)},
        **{f"part/algo-{k}": f"algo-{k}" for k in (1, 2, 3)},
        "shared": "algo-1",
    }
    with tarfile.open(base / "output.tar.gz") as archive:
        assert sorted(archive.getnames()) == ["algo-1", "algo-2", "algo-3"]
    ended = bench.executor.read("three", 1, "hosts", 0, 100).decode().split()
    assert sorted(ended) == ["algo-1", "algo-2", "algo-3"]


@pytest.mark.skipif(bool(OBSTACLE), reason=f"no mount namespace can be made here: {OBSTACLE}")
def test_each_host_has_its_own_opt_ml_and_names_are_known(bench: Bench) -> None:
    text = """
import socket
open("/opt/ml/model/own-" + host, "w").close()
meet("written", ["algo-1", "algo-2"])
print(sorted(os.listdir("/opt/ml/model")), [socket.gethostbyname(name) for name in json.loads(os.environ["SM_HOSTS"])])
"""
    assert bench.run(several(bench, "named", text)).exit_code == 0
    places = []
    for host in ("algo-1", "algo-2"):
        listed, _, addresses = said(bench, "named", host).strip().partition("] ")
        assert listed == f"['own-{host}'"
        places.append(addresses)
    assert places[0] == places[1] and re.fullmatch(r"\['127\.(\d+\.\d+)\.1', '127\.\1\.2'\]", places[0])


def test_names_can_be_talked_to(tmp_path: Path) -> None:
    """The addresses are of the loopback network, and those of two jobs differ."""
    cluster = Cluster.of(Training(instance_count=2))
    addresses = []
    for name in ("one", "two"):
        task = Task("job", name, 1, 1, Training(instance_count=2), {})
        assert write_names(str(tmp_path / name), task, cluster)
        text = (tmp_path / name).read_text(encoding="utf-8")
        addresses += re.findall(r"^(127\.\S+) algo-[12]$", text, re.MULTILINE)
    assert len(set(addresses)) == 4
    with socket.socket() as listening:
        listening.bind((addresses[1], 0))
        listening.listen()
        with socket.create_connection(listening.getsockname(), timeout=10):
            pass


GROUPS = (InstanceGroup("workers", "ml.p3.2xlarge", 2), InstanceGroup("data", "ml.c5.large", 1))


def test_instance_groups(tmp_path: Path) -> None:
    training = Training(instance_groups=GROUPS, channels=(Channel("a", "s3://b/a", groups=("data",)),))
    cluster = Cluster.of(training)
    assert cluster.hosts == ("algo-1", "algo-2", "algo-3") and training.hosts == 3
    assert cluster.served(training.channels[0]) == ("algo-3",)
    config = resource_config(cluster, "algo-3")
    assert (config["current_group_name"], config["current_instance_type"]) == ("data", "ml.c5.large")
    assert config["instance_groups"] == [
        {"instance_group_name": "workers", "instance_type": "ml.p3.2xlarge", "hosts": ["algo-1", "algo-2"]},
        {"instance_group_name": "data", "instance_type": "ml.c5.large", "hosts": ["algo-3"]},
    ]
    task = Task("job", "one", 1, 1, training, {})
    variables = environment(task, Workdir.of(tmp_path, "one").of_host("algo-2"), {}, host="algo-2")
    assert json.loads(variables["SM_INSTANCE_GROUPS"]) == ["workers", "data"]
    assert json.loads(variables["SM_CURRENT_INSTANCE_GROUP_HOSTS"]) == ["algo-1", "algo-2"]
    assert variables["SM_IS_HETERO"] == "true"
    whole = json.loads(variables["SM_TRAINING_ENV"])
    assert (whole["is_master"], whole["master_hostname"]) == (False, "algo-1")


def test_hosts_are_counted() -> None:
    assert [Training(instance_count=count).hosts for count in (0, 1, 4)] == [1, 1, 4]
    assert Training(instance_count=4, function=Function("a:b")).hosts == 1
    many = Cluster.of(Training(instance_count=11))
    assert many.hosts[-1] == "algo-11"
    assert resource_config(many, "algo-1")["hosts"] == sorted(many.hosts)
    with pytest.raises(KeyError):
        Workdir.of("/home", "job").of_host("../algo-2")


def test_far_too_many_hosts_are_refused(bench: Bench) -> None:
    report = bench.run(several(bench, "many", "", 5000))
    assert report.failure is Failure.CLIENT and "5000 instances" in report.reason


# ---- inputs ----

LISTS = """
place = os.environ["SM_CHANNEL_TRAIN"]
print(sorted(os.path.relpath(os.path.join(at, name), place) for at, _, names in os.walk(place) for name in names))
"""


@pytest.mark.parametrize(
    ("distribution", "parts"),
    [
        ("FullyReplicated", [["a", "b", "c", "sub/d", "z"]] * 2),
        ("ShardedByS3Key", [["a", "c", "z"], ["b", "sub/d"]]),
    ],
)
def test_distribution(bench: Bench, distribution: str, parts: list[list[str]]) -> None:
    for name in ("a", "b", "c", "sub/d", "z"):
        path = bench.objects / "bucket" / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    channel = Channel("train", "s3://bucket/data", distribution=distribution)
    assert bench.run(several(bench, "share", LISTS, channels=(channel,))).exit_code == 0
    assert [said(bench, "share", host).strip() for host in ("algo-1", "algo-2")] == [str(part) for part in parts]
    assert sorted(path.name for path in (bench.objects / "bucket" / "data").iterdir()) == ["a", "b", "c", "sub", "z"]


def test_a_channel_for_one_group(bench: Bench) -> None:
    data = bench.source("data", "1", "rows.csv")
    channel = Channel("train", data.as_uri(), groups=("data",))
    text = "print(sorted(name for name in os.environ if name.startswith('SM_CHANNEL_')), os.environ['SM_CHANNELS'])\n"
    task = several(bench, "grouped", text, instance_groups=GROUPS, channels=(channel,))
    assert bench.run(task).exit_code == 0
    assert said(bench, "grouped", "algo-1") == "[] []\n"
    assert said(bench, "grouped", "algo-3") == "['SM_CHANNEL_TRAIN'] [\"train\"]\n"


# ---- the end ----

FAILS = """
import signal
if host == "algo-2":
    meet("up", ["algo-1", "algo-2"])
    open(base + "/output/failure", "w").write("no more")
    sys.exit(7)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
meet("up", ["algo-1", "algo-2"])
print(signal.sigwait([signal.SIGTERM]) == signal.SIGTERM)
"""


def test_one_that_fails_takes_the_others_along(bench: Bench) -> None:
    report = bench.run(several(bench, "fails", FAILS))
    assert (report.exit_code, report.failure, report.killed) == (7, Failure.ALGORITHM, False)
    assert report.reason == "on algo-2: no more"
    assert said(bench, "fails", "algo-1") == "True\n"


def test_all_have_to_end(bench: Bench) -> None:
    text = """
if host == "algo-2":
    while not os.path.exists(os.environ["MEETING"] + "go"):
        time.sleep(0.01)
print("done")
"""
    task = several(bench, "waits", text)
    bench.executor.launch(task)
    bench.seen.until(lambda: said(bench, "waits", "algo-1") == "done\n")
    program = next(int(line.split()[1]) for line in lock(bench, "waits") if line.startswith("program "))
    bench.gone(program)
    assert not (bench.job("waits") / "exit.json").exists()
    Path(f"{bench.root}/met-waits-go").touch()
    assert bench.seen.exit("waits").exit_code == 0
    assert bench.executor.read("waits", 1, "hosts", 0, 100) == b"algo-1\nalgo-2\n"


def lock(bench: Bench, name: str) -> list[str]:
    return (bench.job(name) / "lock").read_text(encoding="utf-8").splitlines()


def test_a_stop_reaches_all(bench: Bench) -> None:
    text = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\nprint('up', flush=True)\n"
    text += "print(signal.sigwait([signal.SIGTERM]).name)\n"
    task = several(bench, "told", text)
    bench.executor.launch(task)
    for host in ("algo-1", "algo-2"):
        bench.seen.until(lambda host=host: said(bench, "told", host) == "up\n")  # type: ignore[misc]
    bench.executor.kill(task)
    report = bench.seen.exit("told")
    assert report.killed and report.failure is None
    assert [said(bench, "told", host) for host in ("algo-1", "algo-2")] == ["up\nSIGTERM\n"] * 2


def test_a_deaf_host_is_killed(bench: Bench) -> None:
    text = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)\n"
    task = several(bench, "deaf", text)
    bench.executor.launch(task)
    for host in ("algo-1", "algo-2"):
        bench.seen.until(lambda host=host: said(bench, "deaf", host) == "up\n")  # type: ignore[misc]
    bench.executor.kill(replace(task, grace=0.2))
    assert bench.seen.exit("deaf").killed


def test_a_host_that_cannot_be_started_leaves_none(bench: Bench) -> None:
    """The second host's entry point is missing: the first one, which runs already, is ended."""
    data = bench.source("tool", "#!/bin/sh\nsleep 600\n", "run.sh")
    (data / "run.sh").chmod(0o755)
    channel = Channel("tool", data.as_uri(), groups=("workers",))
    entry = ("/opt/ml/input/data/tool/run.sh",)
    groups = (replace(GROUPS[0], count=1), GROUPS[1])
    task = several(bench, "half", "", instance_groups=groups, channels=(channel,), entrypoint=entry)
    report = bench.run(replace(task, hyperparameters={}))
    assert report.failure is Failure.CLIENT and "No such file" in report.reason
    programs = [int(line.split()[1]) for line in lock(bench, "half") if line.startswith("program ")]
    assert len(programs) == 1
    bench.gone(programs[0])


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found by /proc")
def test_a_killed_shim_leaves_no_host_behind(bench: Bench) -> None:
    text = "print('up', flush=True)\ntime.sleep(600)\n"
    bench.executor.launch(several(bench, "lost", text))
    for host in ("algo-1", "algo-2"):
        bench.seen.until(lambda host=host: said(bench, "lost", host) == "up\n")  # type: ignore[misc]
    programs = [int(line.split()[1]) for line in lock(bench, "lost") if line.startswith("program ")]
    os.kill(bench.pid("lost", "shim"), signal.SIGKILL)
    assert bench.seen.exit("lost").failure is Failure.INTERNAL
    assert len(programs) == 2
    for program in programs:
        bench.gone(program)


# ---- slots ----


def test_hosts_take_a_slot_each_or_all_there_are(bench: Bench) -> None:
    executor = bench.start(slots="3")
    text = "print('up', flush=True)\nimport signal\nsignal.pause()\n"
    two, other = several(bench, "two", text), bench.task("one", "")
    assert executor.launch(two) is not None
    bench.seen.until(lambda: said(bench, "two", "algo-2") == "up\n")
    assert executor.launch(several(bench, "more", "")) is None, "one slot is free, and two are wanted"
    assert executor.launch(other) is not None
    bench.seen.exit("one")
    executor.kill(two)
    bench.seen.exit("two")
    assert executor.launch(several(bench, "five", "", 5)) is not None, "more hosts than slots take them all"
    assert bench.seen.exit("five").exit_code == 0


def test_gpus_are_dealt_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    executor = bench.start(slots="cpu=4,gpu=4")
    task = several(bench, "gpus", "print(os.environ['CUDA_VISIBLE_DEVICES'], os.environ['SM_NUM_GPUS'])\n", gpus=2)
    assert executor.launch(task) is not None
    assert bench.seen.exit("gpus").exit_code == 0
    assert [said(bench, "gpus", host) for host in ("algo-1", "algo-2")] == ["4,5 2\n", "6,7 2\n"]
