"""The grounds that each feature is tried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tunewright.core.ports import Task
from tunewright.testing.world import Program

from .ground import Real, Sim, prints, x_of


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    here = Real(tmp_path)
    yield here
    here.close()


@pytest.fixture
def simulate(tmp_path: Path) -> Iterator[Callable[..., Sim]]:
    """Makes a simulated world for a program."""
    made: list[Sim] = []

    def make(program: Callable[[Task], Program], **settings: str) -> Sim:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Sim(folder, program, **settings))
        return made[-1]

    yield make
    for sim in made:
        sim.loop.close()
        sim.store.close()


@pytest.fixture
def sim(simulate: Callable[..., Sim]) -> Sim:
    """A simulated world whose programs emit their `x` as the objective."""
    return simulate(lambda task: prints(x_of(task)))
