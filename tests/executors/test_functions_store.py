"""Which functions travel by name and which by value, and what a worker refuses to unpickle."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.util
import linecache
import os
import pickle
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tunewright.core.errors import Invalid
from tunewright.core.spec import Function
from tunewright.executors.functions.store import (
    Unloadable,
    load_function,
    remove_function,
    store_function,
    unused_functions,
)

from .functions_bench import FunctionBench, opened


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[FunctionBench]:
    yield from opened(tmp_path)


def at_module_level(x: float) -> float:
    return x + 1


class Trainer:
    def __init__(self, base: float) -> None:
        self.base = base

    def __call__(self, x: float) -> float:
        return self.base + x

    def method(self, x: float) -> float:
        return self.base * x

    @staticmethod
    def by_name(x: float) -> float:
        return x


def test_what_stands_in_a_module_goes_by_name(tmp_path: Path) -> None:
    for function, name in ((at_module_level, "at_module_level"), (Trainer.by_name, "Trainer.by_name")):
        stored = store_function(function, tmp_path)
        assert (stored.reference, stored.pickled) == (f"{__name__}:{name}", False)
        assert load_function(stored, str(tmp_path)) is function
    assert not (tmp_path / "functions").exists()


def made() -> dict[str, Callable[..., object]]:
    base = 10.0

    def closure(x: float) -> float:
        return base + x

    return {
        "lambda": lambda x: x + 10,
        "closure": closure,
        "partial": functools.partial(lambda base, x: base + x, 10.0),
        "object": Trainer(10.0),
        "method": Trainer(10.0).method,
    }


@pytest.mark.parametrize("kind", sorted(made()))
def test_everything_else_goes_by_value(tmp_path: Path, kind: str) -> None:
    stored = store_function(made()[kind], tmp_path)
    assert stored.pickled and len(stored.reference) == 64
    file = tmp_path / "functions" / f"{stored.reference}.pkl"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == stored.reference
    assert file.stat().st_mode & 0o777 == 0o600
    assert load_function(stored, str(tmp_path))(x=1.0) == (10.0 if kind == "method" else 11.0)


def test_closures_and_lambdas_train(bench: FunctionBench) -> None:
    base, helper = 10.0, lambda x: x * 2

    def closure(x: float) -> float:
        return base + helper(x)

    for name, function in (("closure-1", closure), ("lambda-1", lambda x: x + base)):
        assert bench.run(name, function, x=1.5).reason == ""
    assert '"loss": 13.0' in bench.text("closure-1", "metrics")
    assert '"loss": 11.5' in bench.text("lambda-1", "metrics")


NOTEBOOK = """
import sys
from pathlib import Path
from typing import Any
from tunewright.executors.functions.store import store_function

OFFSET = 4.0
class Model:
    def fit(self, x):
        return x + OFFSET
def helper(x):
    return Model().fit(x)
def train(x):
    import helpers_beside
    return helper(x) + helpers_beside.VALUE

stored = store_function(train, Path(sys.argv[1]))
assert stored.pickled
print(stored.reference, *stored.path, sep="\\n")
"""


def test_a_function_of_a_script_or_notebook_brings_what_it_needs(bench: FunctionBench) -> None:
    folder = bench.module("helpers_beside", "VALUE = 100.0\n")
    (folder / "notebook.py").write_text(NOTEBOOK)
    command = [sys.executable, str(folder / "notebook.py"), str(bench.home)]
    reference, *path = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert path[0] == str(folder)
    assert bench.run("notebook-1", Function(reference, True, tuple(path)), x=1).reason == ""
    assert '"loss": 105.0' in bench.text("notebook-1", "metrics")


def test_a_module_that_no_worker_can_import_travels_along(bench: FunctionBench) -> None:
    module = types.ModuleType("made_up")
    exec("SCALE = 3\ndef train(x):\n    return x * SCALE\n", module.__dict__)
    sys.modules["made_up"] = module
    try:
        stored = store_function(module.train, bench.home)
    finally:
        del sys.modules["made_up"]
    assert stored.pickled
    assert bench.run("made-1", stored, x=2).reason == ""
    assert '"loss": 6.0' in bench.text("made-1", "metrics")


def test_a_file_loaded_under_another_name_travels_along(bench: FunctionBench) -> None:
    folder = bench.module("source", "def train(x):\n    return x\n")
    spec = importlib.util.spec_from_file_location("loaded_elsewhere", folder / "source.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["loaded_elsewhere"] = module
    try:
        spec.loader.exec_module(module)
        stored = store_function(module.train, bench.home)
    finally:
        del sys.modules["loaded_elsewhere"]
    assert stored.pickled and bench.run("loaded-1", stored, x=2).reason == ""


def test_what_cannot_be_pickled_is_said(tmp_path: Path) -> None:
    lock = threading.Lock()
    with pytest.raises(Invalid, match=r"cannot be pickled: TypeError.*make that inside the function"):
        store_function(lambda: lock.acquire(), tmp_path)
    with pytest.raises(Invalid, match="3 cannot be called"):
        store_function(3, tmp_path)  # type: ignore[arg-type]


def test_the_same_function_is_stored_once(tmp_path: Path) -> None:
    function = made()["lambda"]
    assert store_function(function, tmp_path).reference == store_function(function, tmp_path).reference
    assert len(list((tmp_path / "functions").glob("*.pkl"))) == 1


class Explodes:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("unpickled",)


@pytest.fixture
def planted(tmp_path: Path) -> Function:
    """A pickle that would do something when it is loaded, under its right name."""
    data = pickle.dumps(Explodes())
    digest = hashlib.sha256(data).hexdigest()
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / f"{digest}.pkl").write_bytes(data)
    return Function(digest, pickled=True)


def refused(function: Function, home: Path, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Unloadable, match=why):
        load_function(function, str(home))
    assert "unpickled" not in capsys.readouterr().out


def test_a_pickle_is_loaded_only_under_its_own_digest(
    planted: Function, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "functions" / f"{planted.reference}.pkl"
    other = "0" * 64
    os.link(file, tmp_path / "functions" / f"{other}.pkl")
    refused(Function(other, pickled=True), tmp_path, "its SHA-256 is not its name", capsys)


@pytest.mark.parametrize("name", ["../functions/x", "/etc/passwd", "", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_nothing_else_is_a_name(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(Function(name, pickled=True), tmp_path, "is not the SHA-256 of a stored function", capsys)


def test_links_and_files_that_others_may_write_are_refused(
    planted: Function, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "functions" / f"{planted.reference}.pkl"
    file.chmod(0o666)
    refused(planted, tmp_path, "could have been written by another user", capsys)
    file.chmod(0o600)
    moved = file.rename(tmp_path / "elsewhere.pkl")
    file.symlink_to(moved)
    refused(planted, tmp_path, "cannot be read", capsys)
    file.unlink()
    refused(planted, tmp_path, "cannot be read: No such file", capsys)


def test_a_function_that_takes_much_along_is_remarked_upon(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunewright.executors.functions.store.LARGE", 10_000)
    table = os.urandom(20_000)
    store_function(lambda x: table[int(x)], tmp_path)
    store_function(lambda x: x, tmp_path)
    assert [record.message[:30] for record in caplog.records] == ["the function takes 0 MB along "]


AT_HOME = """
import functools, multiprocessing, os, pickle, sys
from pathlib import Path
from typing import Any
from tunewright.executors.functions.store import store_function

class Model:
    def __init__(self, x):
        self.x = x
def helper(x):
    return 2 * x
@functools.lru_cache
def cached(x):
    return x + 1
calls = []
def train(x):
    calls.append(x)
    pickle.loads(pickle.dumps(Model(x)))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.map(helper, [x])[0] + cached(x) + 1000 * len(calls)
def broken(x):
    return 1 / 0
@functools.lru_cache
def whole(x):
    return x
class Counter:
    calls = 0
    def __call__(self, x):
        self.calls += 1
        return len(pickle.dumps(self)) and self.calls

for function in (train, broken, whole, Counter()):
    print(store_function(function, Path(sys.argv[1])).reference)
"""


def test_a_worker_is_to_a_function_what_its_script_was(bench: FunctionBench) -> None:
    script = bench.home / "at_home.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(AT_HOME)
    command = [sys.executable, str(script), str(bench.home)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    train, broken, whole, counter = [Function(reference, True) for reference in said]
    for place in ("1", "2"):
        # Each call is the first: what one leaves in globals and objects is not there for the next.
        for name, function, value in (("train", train, 1007.0), ("whole", whole, 2.0), ("counter", counter, 1.0)):
            assert bench.run(f"{name}-{place}", function, x=2).reason == ""
            assert f'"loss": {value}' in bench.text(f"{name}-{place}", "metrics")
    reason = bench.run("broken-1", broken, x=2).reason
    assert f'File "{script}", line 22, in broken' in reason and "return 1 / 0" in reason


def test_lines_of_a_cell_that_is_no_file_are_shown(bench: FunctionBench) -> None:
    text = "def train(x):\n    return x / 0  # in a cell\n"
    linecache.cache["/no/such/cell.py"] = (len(text), None, text.splitlines(keepends=True), "/no/such/cell.py")
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, "/no/such/cell.py", "exec"), space)
    reason = bench.run("cell-1", store_function(space["train"], bench.home), x=1).reason
    assert 'File "/no/such/cell.py", line 2, in train' in reason and "return x / 0  # in a cell" in reason


def test_a_function_that_was_stored_again_meanwhile_is_not_removed(tmp_path: Path) -> None:
    stored = store_function(lambda: 1, tmp_path)
    path = tmp_path / "functions" / f"{stored.reference}.pkl"
    os.utime(path, (0, 0))
    assert unused_functions(tmp_path, {stored.reference}, 1.0) == []
    assert unused_functions(tmp_path, (), 1.0) == [path]
    load_function(stored, str(tmp_path))
    assert not remove_function(path, 1.0) and path.exists()
    os.utime(path, (0, 0))
    assert remove_function(path, 1.0) and os.listdir(path.parent) == [".lock"]
    assert remove_function(path, 1.0), "somebody else has removed it"


def test_a_function_that_is_stored_again_while_it_is_removed_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def function() -> int:
        return 1

    stored = store_function(function, tmp_path)
    path = tmp_path / "functions" / f"{stored.reference}.pkl"
    os.utime(path, (0, 0))
    waits_or_is_done = threading.Event()

    def store_again() -> None:
        store_function(function, tmp_path)
        waits_or_is_done.set()

    again = threading.Thread(target=store_again)
    flock, unlink = fcntl.flock, Path.unlink

    def locked(handle: int, how: int) -> None:
        if threading.current_thread() is again and how == fcntl.LOCK_EX:
            try:
                flock(handle, how | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                waits_or_is_done.set()
        flock(handle, how)

    def removed(file: Path, missing_ok: bool) -> None:
        again.start()
        assert waits_or_is_done.wait(60)
        unlink(file, missing_ok)

    monkeypatch.setattr(fcntl, "flock", locked)
    monkeypatch.setattr(Path, "unlink", removed)
    assert remove_function(path, 1.0)
    again.join(60)
    assert load_function(stored, str(tmp_path))() == 1


def test_what_a_process_left_that_died_while_it_stored_a_function_is_cleared_away(tmp_path: Path) -> None:
    stored = store_function(lambda: 1, tmp_path)
    left = tmp_path / "functions" / f".{stored.reference}.pkl.4711"
    left.write_bytes(b"half of it")
    assert unused_functions(tmp_path, {stored.reference}, 1.0) == []
    os.utime(left, (0, 0))
    assert unused_functions(tmp_path, {stored.reference}, 1.0) == [left]
    assert remove_function(left, 1.0) and not left.exists()
