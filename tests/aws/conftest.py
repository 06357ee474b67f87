from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .world import World


@pytest.fixture(scope="session")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database that is laid out already, to be copied."""
    home = tmp_path_factory.mktemp("laid-out")
    World(home).store.close()
    return home / "tunewright.db"


@pytest.fixture
def world(tmp_path: Path, laid_out: Path) -> Iterator[World]:
    shutil.copy(laid_out, tmp_path)
    world = World(tmp_path)
    yield world
    world.store.close()
