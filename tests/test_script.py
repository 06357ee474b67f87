"""The training program's side: what report() writes and refuses, params(), should_stop(), checkpoint_dir()."""

from __future__ import annotations

import ast
import json
import math
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tunewright import script
from tunewright.control.metrics import Scraper


@pytest.fixture
def metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "metrics.jsonl"
    monkeypatch.setenv(script.METRICS_VARIABLE, str(place))
    return place


def lines(place: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in place.read_text().splitlines()]


def test_it_stands_alone() -> None:
    tree = ast.parse(Path(script.__file__).read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


def test_a_report_is_one_line(metrics: Path) -> None:
    script.report(step=3, loss=0.25, **{"validation:accuracy": 0.91})
    script.report({"validation:accuracy": 1}, step=4)
    script.report(5, loss=2)
    script.report(loss=3)
    found = lines(metrics)
    assert [(line["step"], line["values"]) for line in found] == [
        (3, {"loss": 0.25, "validation:accuracy": 0.91}),
        (4, {"validation:accuracy": 1.0}),
        (5, {"loss": 2.0}),
        (None, {"loss": 3.0}),
    ]
    assert all(isinstance(line["at"], float) for line in found)


def test_what_is_written_is_what_the_controller_reads(metrics: Path) -> None:
    script.report(step=1, loss=0.1, other=float("nan"))
    script.report(loss=math.inf)
    script.report(loss=-math.inf)
    observations, consumed = Scraper((), "loss").pushed(metrics.read_bytes(), 0.0, final=False)
    assert consumed == metrics.stat().st_size
    seen = [(o.metric, repr(o.value), o.step) for o in observations]
    assert seen == [("loss", "0.1", 1), ("other", "nan", 1), ("loss", "inf", None), ("loss", "-inf", None)]


@pytest.mark.parametrize(
    "value", [np.float32(0.5), np.float64(0.5), np.array(0.5), True, 1, 10**20, np.int64(3)], ids=repr
)
def test_whatever_float_takes_is_a_number(metrics: Path, value: float) -> None:
    script.report(loss=value)
    assert lines(metrics)[0]["values"] == {"loss": float(value)}


@pytest.mark.parametrize("value", ["0.5", b"1", None, [1.0], {"a": 1}, 1j, 10**400], ids=lambda v: repr(v)[:10])
def test_anything_else_is_refused_by_name(metrics: Path, value: float) -> None:
    with pytest.raises(TypeError, match=r"metric 'validation:loss' must be a number"):
        script.report({"good": 1.0, "validation:loss": value})
    assert not metrics.exists()


def test_names_and_steps_are_checked(metrics: Path) -> None:
    with pytest.raises(TypeError, match="name must be text, got 3"):
        script.report({3: 1.0})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="name must be text, got ''"):
        script.report({"": 1.0})
    with pytest.raises(TypeError, match="nothing is reported"):
        script.report(step=1)
    with pytest.raises(TypeError, match=r"whole number, got 1\.5"):
        script.report(step=1.5, loss=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="whole number, got 'one'"):
        script.report(step="one", loss=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="given twice: 1 and 2"):
        script.report(1, step=2, loss=1)
    with pytest.raises(ValueError, match="given twice: loss"):
        script.report({"loss": 1}, loss=2)
    with pytest.raises(ValueError, match="not be negative, got -1"):
        script.report(step=-1, loss=1)
    assert not metrics.exists()


def test_steps_may_come_from_numpy_or_be_whole_floats(metrics: Path) -> None:
    script.report(step=np.int64(7), loss=1)
    script.report(step=8.0, loss=1)  # type: ignore[arg-type]
    assert [line["step"] for line in lines(metrics)] == [7, 8]


def test_outside_a_job_the_line_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv(script.METRICS_VARIABLE, raising=False)
    script.report(step=1, loss=0.5)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["step"], printed["values"]) == (1, {"loss": 0.5})


def test_reports_of_several_processes_do_not_mix(metrics: Path) -> None:
    program = "import sys, tunewright.script as s\nfor i in range(300): s.report(step=i, **{sys.argv[1] * 60: i})"
    started = [subprocess.Popen([sys.executable, "-c", program, letter]) for letter in "abc"]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    found = lines(metrics)
    for letter in "abc":
        assert [line["step"] for line in found if letter * 60 in line["values"]] == list(range(300))  # type: ignore[operator]


def test_params_have_their_types(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"lr": 0.1, "layers": 3, "name": "sgd", "deep": True, "sizes": [1, 2], "text": "NaN"}
    hidden = {"sagemaker_program": "train.py", "_tuning_objective_metric": "loss", "_tunewright_2": "x"}
    monkeypatch.setenv("SM_HPS", json.dumps({**given, **hidden}))
    assert script.params() == given


def test_params_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SM_HPS", raising=False)
    monkeypatch.delenv("SM_INPUT_CONFIG_DIR", raising=False)
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    assert script.params() == {}
    place = tmp_path / "input" / "config"
    place.mkdir(parents=True)
    texts = {"lr": "0.1", "layers": "3", "name": "sgd", "quoted": '"3"', "sagemaker_region": '"x"'}
    (place / "hyperparameters.json").write_text(json.dumps(texts))
    assert script.params() == {"lr": 0.1, "layers": 3, "name": "sgd", "quoted": "3"}


def test_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(script.CHECKPOINT_VARIABLE, raising=False)
    monkeypatch.setenv("SM_INPUT_CONFIG_DIR", str(tmp_path))
    assert script.checkpoint_dir() is None
    (tmp_path / "checkpointconfig.json").write_text('{"LocalPath": "/somewhere"}')
    assert script.checkpoint_dir() == "/somewhere"
    monkeypatch.delenv("SM_INPUT_CONFIG_DIR")
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path / "base"))
    assert script.checkpoint_dir() is None
    place = tmp_path / "base" / "input" / "config"
    place.mkdir(parents=True)
    (place / "checkpointconfig.json").write_text('{"LocalPath": "/base"}')
    assert script.checkpoint_dir() == "/base"
    monkeypatch.setenv("SM_INPUT_CONFIG_DIR", str(tmp_path))
    (tmp_path / "checkpointconfig.json").write_text("[]")
    assert script.checkpoint_dir() is None
    monkeypatch.setenv(script.CHECKPOINT_VARIABLE, "/elsewhere")
    assert script.checkpoint_dir() == "/elsewhere"


STOPPING = """
import os, signal, sys, threading
sys.path.insert(0, sys.argv[1])
import script
heard = []
if "own" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: heard.append("own"))
other = threading.Thread(target=lambda: heard.append(script.should_stop()))
other.start(); other.join()
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL or "own" in sys.argv
assert not script.should_stop()
assert not script.should_stop()
os.kill(os.getpid(), signal.SIGTERM)
assert script.should_stop()
if "again" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    script.should_stop()
    os.kill(os.getpid(), signal.SIGTERM)
print(heard)
"""


@pytest.mark.parametrize(("more", "heard"), [([], "[False]"), (["own"], "[False, 'own']"), (["again"], "[False]")])
def test_should_stop_hears_sigterm_beside_a_copied_script(tmp_path: Path, more: list[str], heard: str) -> None:
    shutil.copy(script.__file__, tmp_path / "script.py")
    command = [sys.executable, "-I", "-c", STOPPING, str(tmp_path), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, heard, "")


def test_a_handler_that_a_program_sets_later_is_left_alone(tmp_path: Path) -> None:
    shutil.copy(script.__file__, tmp_path / "script.py")
    program = (
        "import os, signal, sys\nsys.path.insert(0, sys.argv[1])\nimport script\nscript.should_stop()\nheard = []\n"
        "mine = lambda *_: heard.append(1)\nsignal.signal(signal.SIGTERM, mine)\nscript.should_stop()\n"
        "os.kill(os.getpid(), signal.SIGTERM)\nprint(heard, signal.getsignal(signal.SIGTERM) is mine)\n"
    )
    command = [sys.executable, "-I", "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[1] True", "")


def test_a_program_that_never_asks_is_ended_by_the_signal() -> None:
    program = "import os, signal, tunewright.script\nos.kill(os.getpid(), signal.SIGTERM)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is not script._asked
