"""docs/cases.md says of each case which tests hold it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent.parent


def load() -> ModuleType:
    found = importlib.util.spec_from_file_location("draw_cases", ROOT / "docs" / "draw_cases.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_page_is_drawn_from_the_tests() -> None:
    module = load()
    assert module.PAGE.read_text(encoding="utf-8") == module.draw(), "run: python docs/draw_cases.py"


def test_every_case_is_held() -> None:
    module = load()
    numbers = [number for number, _, _ in module.CASES]
    assert numbers == list(range(1, 47))
    assert set(module.held()) | set(module.MEASURED) == set(numbers)
    assert not set(module.held()) & set(module.MEASURED)
