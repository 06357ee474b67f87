"""Fixtures of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tunewright.executors.runtime import Runtime

from .bench import Bench


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Makes the bench of a test, with what the runtime is to be."""
    made: list[Bench] = []

    def make(**runtime: Any) -> Bench:
        made.append(Bench(tmp_path, Runtime(**runtime)))
        return made[-1]

    yield make
    for executor in (executor for bench in made for executor in bench.open):
        executor.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()
