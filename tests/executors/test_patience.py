"""What the system refuses for a moment is tried again: nothing of a training job is lost over it."""

from __future__ import annotations

import errno
import json
import os
import signal
import tarfile
from pathlib import Path

import pytest

from tunewright.core.ports import ExitReport, Task
from tunewright.core.spec import Training
from tunewright.core.trial import Failure
from tunewright.executors import patience, tasklock
from tunewright.executors.contract import artifacts, packing
from tunewright.executors.functions import worker_place
from tunewright.executors.patience import patiently
from tunewright.executors.programs import shim
from tunewright.executors.reasons import Refused
from tunewright.executors.workdir import Workdir, read_exit, write_exit
from tunewright.objects.local import LocalObjects

from .bench import Bench


class Refusing:
    """An action that is refused a number of times; its clock goes on by a second with every pause."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: OSError, times: int) -> None:
        self.error, self.left, self.now = error, times, 0.0
        monkeypatch.setattr(patience, "pause", self.pause)
        monkeypatch.setattr(patience.time, "monotonic", lambda: self.now)

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> str:
        if self.left:
            self.left -= 1
            raise self.error
        return "done"


@pytest.mark.parametrize(("number", "times"), [(errno.ENOSPC, 1000), (errno.EDQUOT, 1000), (errno.EACCES, 30)])
def test_what_is_refused_is_tried_again(monkeypatch: pytest.MonkeyPatch, number: int, times: int) -> None:
    assert patiently(Refusing(monkeypatch, OSError(number, "no"), times)) == "done"


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(OSError(errno.EROFS, "no"), 30.0), (FileNotFoundError("no"), 0.0), (NotADirectoryError("no"), 0.0)],
)
def test_what_is_refused_for_long_is_given_up(monkeypatch: pytest.MonkeyPatch, error: OSError, seconds: float) -> None:
    action = Refusing(monkeypatch, error, 10**6)
    with pytest.raises(OSError, match="no"):
        patiently(action)
    assert action.now == seconds


def test_a_shim_waits_for_a_directory_that_is_closed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = [errno.EACCES, errno.EROFS]

    def take(_workdir: Workdir, _patience: float) -> int | None:
        if refused:
            raise OSError(refused.pop(), "closed")
        return None

    monkeypatch.setattr(tasklock, "take", take)
    monkeypatch.setattr(patience, "pause", lambda _: None)
    one = object.__new__(shim._Shim)
    one._task, one._workdir = bench.task("closed"), Workdir.of(bench.home, "closed")
    assert one.run(()) == "left 1 closed" and not refused


def test_a_lost_job_in_a_directory_that_is_closed_for_a_moment_is_told_of(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.executor.launch(bench.task("lost", "import time\nprint('up', flush=True)\ntime.sleep(600)"))
    bench.seen.said("lost", b"up")
    take, refused = tasklock.take, [errno.EACCES, errno.EROFS]

    def hardly(workdir: Workdir, patience: float = 0.0) -> int | None:
        if refused:
            raise OSError(refused.pop(), "closed")
        return take(workdir, patience)

    monkeypatch.setattr(tasklock, "take", hardly)
    os.kill(bench.pid("lost", "shim"), signal.SIGKILL)
    assert bench.seen.exit("lost").failure is Failure.INTERNAL
    assert not refused


def test_an_end_is_put_on_record_when_a_full_disk_has_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [errno.ENOSPC, errno.EDQUOT]

    def write(workdir: Workdir, report: ExitReport) -> None:
        if refusals:
            raise OSError(refusals.pop(), "no space is left on the device")
        write_exit(workdir, report)

    monkeypatch.setattr(shim, "write_exit", write)
    monkeypatch.setattr(patience, "pause", lambda _: None)
    one = object.__new__(shim._Shim)
    one._workdir = Workdir.of(tmp_path, "full-1")
    report = ExitReport("full-1", 1, 0)
    one._write_exit(report)
    assert read_exit(one._workdir) == report


def test_who_runs_a_job_is_written_down_when_a_full_disk_has_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it had room for a part of the line."""
    handle, write, said = os.open(tmp_path / "lock", os.O_WRONLY | os.O_CREAT), os.write, [errno.ENOSPC, 3]

    def hardly(handle: int, data: bytes) -> int:
        match said:
            case [errno.ENOSPC, *_]:
                raise OSError(said.pop(0), "no space is left on the device")
            case [room]:
                said.clear()
                return write(handle, data[:room])
        return write(handle, data)

    monkeypatch.setattr(patience, "pause", lambda _: None)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", hardly)
        tasklock.note(handle, "shim 1 me")
    os.close(handle)
    assert (tmp_path / "lock").read_text(encoding="utf-8") == "shim 1 me\n"


def test_a_model_is_stored_when_a_full_disk_has_room_again(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [errno.ENOSPC, errno.EDQUOT]
    pack = packing.pack

    def packed(directory: str, archive: str) -> None:
        pack(directory, archive)
        if refusals:
            raise OSError(refusals.pop(), "no space is left on the device")

    left: list[bool] = []
    monkeypatch.setattr(packing, "pack", packed)
    monkeypatch.setattr(patience, "pause", lambda _: left.append(os.path.exists(workdir.at("model.tar.gz"))))
    task, workdir = bench.task("full-2"), Workdir.of(tmp_path, "full-2")
    os.makedirs(workdir.model)
    Path(workdir.model, "m").write_text("m", encoding="utf-8")
    model = artifacts.store(task, workdir, LocalObjects(tmp_path / "objects"))
    assert left == [False, False], "half an archive takes room"
    with tarfile.open(model.removeprefix("file://").replace("%20", " ")) as archive:
        assert archive.getnames() == ["m"]


def test_a_model_that_a_full_disk_never_has_room_for_is_given_up(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_directory: str, _archive: str) -> None:
        raise OSError(errno.ENOSPC, "no space is left on the device")

    monkeypatch.setattr(packing, "pack", full)
    monkeypatch.setattr(patience, "pause", lambda _: None)
    monkeypatch.setattr(artifacts, "FULL_SECONDS", 0.0)
    with pytest.raises(Refused, match=r"could not be stored under .*no space is left"):
        artifacts.store(bench.task("full-3"), Workdir.of(tmp_path, "full-3"), LocalObjects(tmp_path / "objects"))


@pytest.mark.parametrize(("refused", "attempt"), [("rename", 1), ("makedirs", 1), ("own", 1), ("makedirs", 2)])
def test_a_worker_waits_for_a_home_that_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str, attempt: int
) -> None:
    """Its function would count as failed, and five such end a tuning job."""
    spares = worker_place.Spares(str(tmp_path))
    refusals = [errno.EROFS, errno.EACCES]
    target = worker_place if refused == "own" else os
    do = getattr(target, refused)

    def hardly(*args: object, **options: object) -> object:
        if refusals:
            raise OSError(refusals.pop(), "the home is closed")
        return do(*args, **options)

    monkeypatch.setattr(patience, "pause", lambda _: None)
    task = Task("job", "closed-1", attempt, 1, Training(), {"x": "1"}, uid="one")
    with monkeypatch.context() as patch:
        patch.setattr(target, refused, hardly)
        place = spares.claim(task)
    assert not refusals
    assert tasklock.is_held(place.workdir)
    assert json.loads(Path(place.workdir.config, "hyperparameters.json").read_text(encoding="utf-8")) == {"x": "1"}
    place.close()
    spares.close()
