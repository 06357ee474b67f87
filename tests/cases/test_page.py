"""docs/cases.md says of each case which tests hold it."""

from __future__ import annotations

from features.test_page import load


def test_the_page_is_drawn_from_the_tests() -> None:
    module = load("draw_cases")
    assert module.PAGE.read_text(encoding="utf-8") == module.draw(), "run: python docs/draw_cases.py"


def test_every_case_is_held() -> None:
    module = load("draw_cases")
    numbers = [number for number, _, _ in module.CASES]
    assert numbers == list(range(1, 47))
    assert set(module.held()) | set(module.MEASURED) == set(numbers)
    assert not set(module.held()) & set(module.MEASURED)
