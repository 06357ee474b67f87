from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tunewright.cli.app import app

from .files import load
from .still import StillEngine


@pytest.fixture(scope="session")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database that is laid out already, to be copied."""
    home = tmp_path_factory.mktemp("laid-out")
    StillEngine(home).store.close()
    return home / "tunewright.db"


@pytest.fixture
def engine(tmp_path: Path, laid_out: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StillEngine]:
    """The engine that every command connects to."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(laid_out, home)
    made = StillEngine(home)
    monkeypatch.setenv("TUNEWRIGHT_HOME", str(home))
    for name in ("files", "jobs", "look", "tools"):
        monkeypatch.setattr(f"tunewright.cli.commands.do_{name}.connect", lambda strict=False: made)
    monkeypatch.setattr("tunewright.cli.diagnosis.connect", lambda strict=False: made)
    yield made
    made.store.close()


@pytest.fixture
def request_of(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The request of a small tuning file; keywords are fields of the file."""
    import yaml

    from tunewright.cli.tunefile.shelf import HomeShelf

    def made(name: str = "digits", **fields: Any) -> dict[str, Any]:
        (tmp_path / "train.py").write_text("print('acc=1')\n")
        data: dict[str, Any] = {
            "name": name,
            "objective": {"metric": "acc"},
            "max_jobs": 4,
            "max_parallel_jobs": 2,
            "parameters": {
                "lr": {"type": "continuous", "min": 0.001, "max": 0.1},
                "units": {"type": "categorical", "values": [200, 512, 1000]},
            },
            "training": {"entry_point": "train.py", "metrics": {"acc": "acc=(.*)"}},
            **fields,
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(data, sort_keys=False))
        return load(path, strict=False, now=0).request(HomeShelf(tmp_path / "home"))

    return made


@pytest.fixture
def digits(engine: StillEngine, request_of: Callable[..., dict[str, Any]]) -> StillEngine:
    """The engine with a new job `digits` of four training jobs, two at a time."""
    engine.call("CreateHyperParameterTuningJob", **request_of())
    return engine


@pytest.fixture
def finished(digits: StillEngine) -> StillEngine:
    """`digits`, ended: a value, a failure, no value, and the best."""
    digits.begin("digits", {"lr": 0.01, "units": "200"}, {"lr": 0.02, "units": "512"})
    digits.clock.time += 10
    digits.report("digits", 1, 0.5, 0.75)
    digits.exit("digits", 1)
    digits.exit("digits", 2, 3, "Traceback\nValueError: bad path")
    digits.begin("digits", {"lr": 0.03, "units": "1000"}, {"lr": 0.04, "units": "512"})
    digits.clock.time += 5
    digits.exit("digits", 3)
    digits.report("digits", 4, 0.913)
    digits.exit("digits", 4)
    return digits


@pytest.fixture
def cli() -> Callable[..., Result]:
    """Run a command line: `cli("best", "digits")`."""

    def run(*arguments: str, input: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=input)

    return run
