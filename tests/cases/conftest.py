"""Where users' troubles are tried: a home with real programs, the faces that look at it, and a simulated world."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e.place import Place
from features.conftest import real, sim, simulate
from typer.testing import CliRunner, Result

from tunewright import assembly
from tunewright.cli.app import app

__all__ = ["real", "sim", "simulate"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own for the SDK and the command line of this process."""
    for name in [name for name in os.environ if name.startswith(("TUNEWRIGHT_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TUNEWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TUNEWRIGHT_SLOTS", "8")
    monkeypatch.chdir(tmp_path)
    handlers = logging.getLogger("tunewright").handlers
    yield tmp_path / "home"
    assembly.close_all()
    logging.getLogger("tunewright").handlers = handlers


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A home in extended mode, and requests for small programs."""
    here = Place(tmp_path)
    yield here
    here.close()


@pytest.fixture
def cli(home: Path) -> Callable[..., Result]:
    """Run a command line in the home: `cli("best", "digits")`."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    return run
