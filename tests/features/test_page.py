"""docs/features.md says of each row what the tests say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent.parent


def load(name: str = "draw_features") -> ModuleType:
    """A program of the documentation, as a module."""
    found = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_page_is_drawn_from_the_tests() -> None:
    module = load()
    assert module.PAGE.read_text(encoding="utf-8") == module.draw(), "run: python docs/draw_features.py"


def test_no_row_is_both_held_and_missing() -> None:
    module = load()
    numbers = [number for number, _, _ in module.ROWS]
    assert numbers == list(range(1, 91))
    assert not set(module.held()) & set(module.NOT_YET), "take it out of NOT_YET"
    assert set(module.held()) <= set(numbers)
