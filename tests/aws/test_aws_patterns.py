"""Metric patterns: what is refused, and that looking at them is cheap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.aws.sagemaker.patterns import pattern_problem
from tunewright.control.patterns import MOST_ATOMS, weight


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("abc", 3),
        (r"a\{99\}", 7 - 2),
        ("[a{99}]", 1),
        ("[]a{99}]x", 2),
        ("a{99}", 99),
        ("a{2,99}", 99),
        ("a{7,}", 7),
        ("(ab){3}", 9),
        ("((a{9}){9}){9}", 819),
        (")a(", 2),
    ],
)
def test_weight(pattern: str, expected: int) -> None:
    assert weight(pattern) == expected


@pytest.mark.parametrize(
    "pattern",
    [
        "((((a{99}){99}){99}){99})",
        "(?=x)(((a{99}){99}){99})",
        "a{999999999999}(b)",
        "(?:(?:a{1,200}){1,200})([0-9])",
        "(" + "(" * 100 + "a{2}" + "){2}" * 100 + ")",
    ],
)
def test_patterns_that_explode_are_refused_before_they_are_compiled(pattern: str) -> None:
    assert "repeats too much" in pattern_problem(pattern)


@pytest.mark.parametrize(
    "pattern",
    [r"loss=([0-9.]+)", r"(?i)acc[^0-9]{1,10}([0-9]+)", r"(?<=x)([0-9]{1,20})", r"(?P<v>\d{4})-\1", r"[]}]{3}(\S+)"],
)
def test_ordinary_patterns_are_accepted(pattern: str) -> None:
    assert pattern_problem(pattern) == ""


@pytest.mark.parametrize("pattern", ["(", "(?P<a>", "a**(", "*(a)", "[a(", r"(\1", "(?<n"])
def test_what_is_no_pattern_is_said_to_be_none(pattern: str) -> None:
    assert "is not a regular expression" in pattern_problem(pattern)


def test_a_pattern_must_capture() -> None:
    assert "put parentheses around the number" in pattern_problem("[0-9.]+")


@given(st.text(alphabet="ab()[]{}\\,?*+|^$0123456789<>=!:P", max_size=40))
def test_any_text_is_looked_at_without_harm(pattern: str) -> None:
    assert isinstance(pattern_problem(pattern), str)
    assert weight(pattern) >= 0


def test_the_bound_is_far_above_what_people_write() -> None:
    assert weight("(" + r"[0-9]{1,3}\." * 40 + ")") < MOST_ATOMS / 100
