"""Each program has a /opt/ml of its own, and this machine's stays as it is."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tunewright.core.spec import Channel
from tunewright.core.trial import Failure
from tunewright.executors import rooms
from tunewright.executors.contract import prepare
from tunewright.executors.workdir import Workdir

from .bench import Bench

OBSTACLE = rooms.obstacle()
needs_rooms = pytest.mark.skipif(bool(OBSTACLE), reason=f"no mount namespace can be made here: {OBSTACLE}")
OUTSIDE = """
import os, sys
sys.path[:0] = sys.argv[1].split(os.pathsep)
from tunewright.executors import rooms
"""

MEETS = """
import os, sys, time
mine, other = sys.argv[sys.argv.index("--me") + 1], sys.argv[sys.argv.index("--other") + 1]
open("/opt/ml/model/" + mine, "w").write(mine)
open(os.environ["MEETING"] + mine, "w").close()
until = time.monotonic() + 60
while not os.path.exists(os.environ["MEETING"] + other) and time.monotonic() < until:
    time.sleep(0.01)
print(sorted(os.listdir("/opt/ml/model")), os.path.samefile("/opt/ml", os.environ["SAGEMAKER_BASE_DIR"]))
"""


@needs_rooms
def test_two_at_once_see_their_own(bench: Bench) -> None:
    before = os.path.exists(rooms.OPT_ML) and sorted(os.listdir(rooms.OPT_ML))
    meeting = {"MEETING": f"{bench.root}/met-"}
    one = bench.task("one", MEETS, values={"me": "first", "other": "second"}, environment=meeting)
    two = bench.task("two", MEETS, values={"me": "second", "other": "first"}, environment=meeting)
    for task in (one, two):
        assert bench.executor.launch(task) is not None
    for task, name in ((one, "first"), (two, "second")):
        report = bench.seen.exit(task.name)
        assert (report.exit_code, report.reason) == (0, "")
        assert bench.stdout(task.name) == f"['{name}'] True\n"
        assert report.model.endswith("/model.tar.gz")
    assert (os.path.exists(rooms.OPT_ML) and sorted(os.listdir(rooms.OPT_ML))) == before


@needs_rooms
def test_an_entry_point_and_drivers_are_left_as_they_are(bench: Bench) -> None:
    drivers = bench.source("drivers", "echo driven > /opt/ml/model/out\necho /opt/ml; cat /opt/ml/model/out\n", "go.sh")
    channel = Channel(prepare.DRIVERS, drivers.as_uri())
    words = ("chmod +x /opt/ml/input/data/sm_drivers/go.sh && bash /opt/ml/input/data/sm_drivers/go.sh",)
    task = bench.task("driven", channels=(channel,), entrypoint=("/bin/bash", "-c"), arguments=words)
    assert bench.run(replace(task, hyperparameters={})).exit_code == 0
    assert bench.stdout("driven") == "/opt/ml\ndriven\n"


@needs_rooms
def test_the_end_of_a_program_is_what_it_was(bench: Bench) -> None:
    """Exit codes, signals and groups: a room changes none of them."""
    assert bench.run(bench.task("three", "import sys; sys.exit(3)")).exit_code == 3
    script = """
        import os, subprocess, sys
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        print(os.getpgrp() == os.getpid(), child.pid, flush=True)
        signal.sigwait(told)
        open("/opt/ml/model/last", "w").close()
    """
    task = bench.task("told", WAITS + textwrap.dedent(script))
    assert bench.executor.launch(task) is not None
    bench.seen.until(lambda: bench.stdout("told").endswith("\n"))
    leader, child = bench.stdout("told").split()
    bench.executor.kill(task)
    report = bench.seen.exit("told")
    assert leader == "True" and report.killed and report.exit_code == 0 and report.model
    bench.gone(int(child))


@needs_rooms
def test_a_new_controller_takes_over_a_program_in_its_room(bench: Bench) -> None:
    script = f"{WAITS}print('up', flush=True)\nsignal.sigwait(told)\nprint(open('/opt/ml/code/train.py').read()[:6])\n"
    task = bench.task("kept", script)
    handle = bench.executor.launch(task)
    bench.seen.until(lambda: bench.stdout("kept") == "up\n")
    bench.executor.close()
    bench.open.pop()
    bench.start()
    bench.executor.watch(task, handle)
    bench.executor.kill(task)
    assert bench.seen.exit("kept").killed
    assert bench.stdout("kept") == "up\nimport\n"


WAITS = "import signal\ntold = [signal.SIGTERM]\nsignal.pthread_sigmask(signal.SIG_BLOCK, told)\n"
TRIES = """
import os
path = os.environ["SM_CHANNEL_TRAIN"]
rows = path + "/rows.csv"
for what, *given in ((open, rows, "a"), (os.unlink, rows), (os.mkdir, path + "/new")):
    try:
        what(*given)
        print("done")
    except OSError:
        print("refused")
print(open(path + "/rows.csv").read())
"""


def fast_file(bench: Bench) -> tuple[Channel, ...]:
    data = bench.source("data", "1,2", "rows.csv")
    return (Channel("train", data.as_uri(), input_mode="FastFile"),)


@needs_rooms
def test_fast_file_is_read_only(bench: Bench) -> None:
    assert bench.run(bench.task("fast", TRIES, channels=fast_file(bench))).exit_code == 0
    assert bench.stdout("fast") == "refused\nrefused\nrefused\n1,2\n"
    assert not os.listdir(bench.job("fast") / "input" / "data"), "cleared away afterwards"


@pytest.mark.skipif(os.geteuid() == 0, reason="nobody keeps the superuser from writing but a mount")
def test_fast_file_is_read_only_without_a_room(rewriting: Bench) -> None:
    assert rewriting.run(rewriting.task("fast", TRIES, channels=fast_file(rewriting))).exit_code == 0
    assert rewriting.stdout("fast") == "refused\nrefused\nrefused\n1,2\n"


def test_protection_without_a_room(tmp_path: Path) -> None:
    inner = tmp_path / "train" / "part"
    inner.mkdir(parents=True)
    (inner / "own").write_text("1", encoding="utf-8")
    (tmp_path / "original").write_text("2", encoding="utf-8")
    os.link(tmp_path / "original", inner / "linked")
    prepare.protect([str(tmp_path / "train")])
    modes = [path.stat().st_mode & 0o222 for path in (tmp_path / "train", inner, inner / "own")]
    assert modes == [0, 0, 0]
    assert (tmp_path / "original").stat().st_mode & 0o200
    inner.parent.chmod(0o700)
    inner.chmod(0o700)


@pytest.fixture
def rewriting(tmp_path: Path, make_bench: Callable[..., Bench]) -> Bench:
    return make_bench(opt_ml="rewrite")


def test_without_rooms_the_path_is_rewritten(rewriting: Bench) -> None:
    words = ("echo good > /opt/ml/model/out; cat /opt/ml/model/out; ls /opt/ml/input/config",)
    task = rewriting.task("entry", entrypoint=("/bin/sh", "-c"), arguments=words)
    assert rewriting.run(task).exit_code == 0
    assert rewriting.stdout("entry").split()[0] == "good"
    script = "import os\nprint(os.path.exists('/opt/ml/input/config/hyperparameters.json'))\n"
    assert rewriting.run(rewriting.task("named", script)).exit_code == 0
    assert rewriting.stdout("named") == "False\n"


def test_a_home_below_opt_ml_is_not_hidden() -> None:
    assert rooms.hides("/opt/ml/home/jobs/a") and rooms.hides("/usr", "/opt/ml")
    assert not rooms.hides("/opt/mlflow/jobs", "/home/me")


@needs_rooms
@pytest.mark.parametrize("path", ["/opt/ml/checkpoints", "/opt/ml/state/mine"])
def test_checkpoints_of_a_second_attempt(bench: Bench, path: str) -> None:
    kept = bench.root / "kept"
    script = f"import os\nprint(sorted(os.listdir('{path}')))\nopen('{path}/x', 'w').close()\n"
    task = replace(bench.task("again", script, checkpoint_path=path), checkpoint_uri=kept.as_uri())
    assert bench.run(task).exit_code == 0
    assert bench.run(replace(task, attempt=2)).exit_code == 0
    second = Workdir.of(bench.home, "again", 2)
    assert second.read("stdout", 0, 100) == b"['x']\n"
    assert os.listdir(kept) == ["x"]


@needs_rooms
@pytest.mark.parametrize("there", [True, False])
def test_checkpoints_anywhere_else(bench: Bench, tmp_path: Path, there: bool) -> None:
    """Each training job has its own there, whatever else is at that place."""
    place, kept = tmp_path / "else" / "where", bench.root / "kept"
    if there:
        place.mkdir(parents=True)
        (place / "theirs").touch()
    script = f"import os\nprint(sorted(os.listdir({str(place)!r})))\nopen({str(place / 'x')!r}, 'w').close()\n"
    task = replace(bench.task("again", script, checkpoint_path=f"{place}/"), checkpoint_uri=kept.as_uri())
    assert bench.run(task).exit_code == 0
    assert bench.run(replace(task, attempt=2)).exit_code == 0
    assert Workdir.of(bench.home, "again", 2).read("stdout", 0, 100) == b"['x']\n"
    assert os.listdir(kept) == ["x"] and os.listdir(place) == (["theirs"] if there else [])


def test_checkpoints_beside_a_directory_that_cannot_be_written_to(tmp_path: Path) -> None:
    """An ordinary user's `/srv/kept`, say: the parent is shown as it was, and the checkpoints in it."""
    if OBSTACLE:
        pytest.skip(f"no mount namespace can be made here: {OBSTACLE}")
    code = f"""
    way = rooms.Rooms()
    way.unlock()
    rooms._mount("tmpfs", "/srv", 0, "tmpfs")
    open("/srv/file", "w").write("file")
    rooms._make_read_only("/srv")
    with way.opened({str(tmp_path)!r}, directories={{"/srv/kept": {str(tmp_path)!r}}}):
        open("/srv/kept/made", "w").close()
        print(open("/srv/file").read(), os.listdir("/srv/kept"))
    print(os.listdir("/srv"))
    """
    done = outside(textwrap.dedent(code))
    assert done.stdout == "file ['made']\n['file']\n", done.stderr


@needs_rooms
@pytest.mark.parametrize("path", ["here", "/", "/opt", "/opt/ml", "/opt/ml/../ml", "/proc/kept", sys.prefix])
def test_checkpoints_where_they_cannot_be(bench: Bench, path: str) -> None:
    task = bench.task("nowhere", "print(1)", checkpoint_path=path)
    report = bench.run(replace(task, checkpoint_uri=(bench.root / "kept").as_uri()))
    assert report.failure is Failure.CLIENT and report.exit_code is None
    for part in (f"CheckpointConfig.LocalPath {path!r}", "/opt/ml/checkpoints", "TUNEWRIGHT_CHECKPOINT_DIR"):
        assert part in report.reason, report.reason


def test_checkpoints_elsewhere_need_a_room(rewriting: Bench, tmp_path: Path) -> None:
    task = rewriting.task("roomless", "print(1)", checkpoint_path=str(tmp_path / "where"))
    assert rewriting.run(task).exit_code == 0, "nothing is kept"
    report = rewriting.run(replace(task, name="kept", checkpoint_uri=(rewriting.root / "kept").as_uri()))
    assert report.failure is Failure.CLIENT and "without a mount namespace" in report.reason
    assert not (tmp_path / "where").exists()


def outside(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, which may do to its view of the file system what it likes."""
    return run([sys.executable, "-c", OUTSIDE + code, os.pathsep.join(sys.path)])


def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)  # type: ignore[call-overload, no-any-return]


@needs_rooms
@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can become somebody else")
def test_an_ordinary_user_has_rooms_too() -> None:
    """Where user namespaces are allowed; where they are not, the reason says so."""
    # Another user may read neither this source tree nor an environment in it.
    program = Path(rooms.__file__).read_text(encoding="utf-8") + "\nprint(obstacle() or 'none', os.geteuid())\n"
    for python in (os.path.realpath(sys.executable), "/usr/bin/python3", "/usr/local/bin/python3"):
        with contextlib.suppress(PermissionError, FileNotFoundError):
            done = run([python, "-c", program], user=65534, group=65534, cwd="/")
            break
    else:
        pytest.skip("another user can run no interpreter here")
    assert done.stdout.strip().endswith(" 65534"), done.stderr
    if not done.stdout.startswith("none"):
        assert "refuses" in done.stdout
        pytest.skip(f"an ordinary user cannot make one here: {done.stdout.strip()}")


@needs_rooms
@pytest.mark.parametrize("there", [True, False])
def test_the_mount_point_is_there_or_is_made(tmp_path: Path, there: bool) -> None:
    """In a view of its own with another /opt: with a directory, a file and a link in it, with or without `ml`."""
    code = f"""
    way = rooms.Rooms()
    way.unlock()
    rooms._mount("tmpfs", "/opt", 0, "tmpfs")
    os.mkdir("/opt/tool")
    open("/opt/tool/x", "w").write("x")
    open("/opt/file", "w").write("file")
    os.symlink("tool", "/opt/link")
    if {there}:
        os.mkdir("/opt/ml")
        open("/opt/ml/hosts-own", "w").close()
    before = sorted(os.listdir("/opt"))
    with way.opened({str(tmp_path)!r}):
        open("/opt/ml/made", "w").close()
        open("/opt/tool/made", "w").close()
        print(open("/opt/file").read(), open("/opt/link/x").read(), sorted(os.listdir("/opt/ml")))
    print(sorted(os.listdir("/opt")) == before, os.path.exists("/opt/tool/made"), os.path.exists("/opt/ml/made"))
    """
    done = outside(textwrap.dedent(code))
    assert done.stdout == "file x ['made']\nTrue True False\n", done.stderr
    assert (tmp_path / "made").exists()
