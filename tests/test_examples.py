"""Every example runs as its reader would run it; long ones with fewer training jobs, and once in full (slow)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
TRIED_ELSEWHERE = {"digits/prepare.py", "digits/train.py", "seed_train.py"}
"""Programs that other examples run."""


def run(command: list[str], directory: Path, timeout: float = 250, **more: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TUNEWRIGHT_", "SM_"))}
    home = {"TUNEWRIGHT_HOME": str(directory / "home"), "OMP_NUM_THREADS": "1"}
    environment = {**kept, **home, **more}
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def tunewright(directory: Path, *arguments: str, timeout: float = 250) -> str:
    return run([sys.executable, "-m", "tunewright", *arguments], directory, timeout)


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """A copy of the example where it lies in a clone, with its data; the directory of the clone."""
    shutil.copytree(EXAMPLES / "digits", tmp_path / "examples" / "digits")
    said = run([sys.executable, "examples/digits/prepare.py", ".demo/data"], tmp_path)
    assert said.startswith("1078 digits to train on and 719 to validate with")
    return tmp_path


def best_model(directory: Path, name: str) -> tuple[float, Path]:
    """The best value, and the best model's file, of a tuning job."""
    best = json.loads(tunewright(directory, "best", name, "--json"))
    address = urlsplit(best["ModelArtifacts"]["S3ModelArtifacts"])
    assert address.scheme == "file"
    return best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"], Path(address.path)


def test_the_digits_are_learned(digits: Path) -> None:
    """The demo with six training jobs: a configuration that reads digits well, and its model."""
    file = digits / "examples" / "digits" / "tune.yaml"
    text = file.read_text(encoding="utf-8")
    assert "max_jobs: 30" in text
    file.write_text(text.replace("max_jobs: 30", "max_jobs: 6"), encoding="utf-8")
    said = tunewright(digits, "run", str(file), "--name", "short")
    assert "6 training jobs ended" in said
    value, model = best_model(digits, "short")
    assert value > 0.8
    assert str(model) in said, "the end says where the model lies"
    with tarfile.open(model) as archive:
        assert archive.getnames() == ["model.joblib"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_demo(digits: Path) -> None:
    said = tunewright(digits, "run", "examples/digits/tune.yaml", "--name", "whole", timeout=600)
    assert "30 training jobs ended" in said
    assert best_model(digits, "whole")[0] > 0.95


def test_the_digits_script_runs_by_hand(digits: Path) -> None:
    """Under SageMaker's variables alone: nothing of ours is needed to try it."""
    data = digits / ".demo" / "data"
    places = {
        "SM_CHANNEL_TRAIN": str(data / "train"),
        "SM_CHANNEL_VALIDATION": str(data / "validation"),
        "SM_MODEL_DIR": str(digits / "model"),
    }
    said = run([sys.executable, "examples/digits/train.py", "--epochs", "2"], digits, **places)
    assert [line.split()[0] for line in said.splitlines()] == ["epoch=1", "epoch=2"]
    assert (digits / "model" / "model.joblib").stat().st_size > 1000


def test_the_function_example(tmp_path: Path) -> None:
    said = run([sys.executable, str(EXAMPLES / "function.py")], tmp_path)
    assert "'n': 4" in said.splitlines()[-1]


def test_the_seed_example(tmp_path: Path) -> None:
    said = run([sys.executable, str(EXAMPLES / "seed.py"), "4"], tmp_path)
    assert "[4/4]" in said
    assert said.rstrip().endswith("model.tar.gz")


def test_the_hyperband_example(tmp_path: Path) -> None:
    """Six training jobs; what they were not given is told."""
    last = run([sys.executable, str(EXAMPLES / "hyperband.py"), "6"], tmp_path).splitlines()[-1]
    found = re.fullmatch(r"epochs: ([0-9]+) of 162, ([0-9]+) saved \([0-9]+%\)", last)
    assert found is not None, last
    assert int(found[1]) >= 27 and int(found[2]) == 162 - int(found[1]) > 0


@pytest.mark.slow
def test_the_warm_start_example(tmp_path: Path) -> None:
    last = run([sys.executable, str(EXAMPLES / "warm_start.py")], tmp_path).splitlines()[-1]
    assert last.startswith("training jobs saved: ")
    assert int(last.rpartition(" ")[2]) > 0


def test_no_example_is_left_out() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    names = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.py")}
    left = [name for name in names - TRIED_ELSEWHERE if f'"{name}"' not in here]
    assert not left
