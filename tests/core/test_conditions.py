"""The language of conditions: what is read, what it means, and what is refused in which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.conditions import LONGEST, comparisons, names_in, parse, truth
from tunewright.core.space import Value

NAMES = ("opt", "lr", "n-layers", "a.b", "my name")

HOLDS = {
    "opt == 'adam'": {"opt": "adam"},
    "opt = adam": {"opt": "adam"},
    'opt == "adam"': {"opt": "adam"},
    "'adam' == opt": {"opt": "adam"},
    "opt != sgd": {"opt": "adam"},
    "opt in [sgd, 'adam']": {"opt": "adam"},
    "opt not in [sgd, lion]": {"opt": "adam"},
    "lr > 1e-3": {"lr": 0.01},
    "lr>-1": {"lr": -0.5},
    "0.1 < lr <= 1": {"lr": 1.0},
    "lr == 3": {"lr": 3},
    "lr == '3'": {"lr": "3"},
    "lr == 3.0": {"lr": "3"},
    "opt == true": {"opt": "true"},
    "opt == True": {"opt": True},
    "not opt == 1": {"opt": True},
    "n-layers >= 2 and a.b == x": {"n-layers": 2, "a.b": "x"},
    "`my name` < 2": {"my name": 1},
    "(opt == a or opt == b) and not lr > 5": {"opt": "b", "lr": 5},
    "opt == a or opt == b and lr > 5": {"opt": "a", "lr": 0},
    "lr < n-layers": {"lr": 1, "n-layers": 2},
    r"opt == 'it\'s'": {"opt": "it's"},
}


@pytest.mark.parametrize(("text", "point"), HOLDS.items(), ids=HOLDS)
def test_what_holds(text: str, point: dict[str, Value]) -> None:
    assert truth(parse(text, NAMES), point) == 1
    assert truth(parse(f"not ({text})", NAMES), point) == -1


@pytest.mark.parametrize(("text", "point"), HOLDS.items(), ids=HOLDS)
def test_nothing_is_known_of_parameters_without_a_value(text: str, point: dict[str, Value]) -> None:
    assert truth(parse(text, NAMES), {}) == 0
    assert truth(parse(f"not ({text})", NAMES), {}) == 0


def test_truth_has_three_values() -> None:
    point: dict[str, Value] = {"opt": "a"}
    assert truth(parse("opt == a or lr > 1", NAMES), point) == 1
    assert truth(parse("opt == a and lr > 1", NAMES), point) == 0
    assert truth(parse("opt == b and lr > 1", NAMES), point) == -1
    assert truth(parse("not (opt == b or lr > 1)", NAMES), point) == 0


def test_names_are_listed_once() -> None:
    rule = parse("opt == a and (lr > 1 or lr < 0) and not opt in [b, c]", NAMES)
    assert names_in(rule) == ("opt", "lr")
    assert len(list(comparisons(rule))) == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("opt ==", "expected a parameter or a value at character 7, found the end"),
        ("opt", "expected a comparison such as == or < at character 4, found the end"),
        ("opt == a b", "expected `and`, `or` or the end at character 10, found 'b'"),
        ("(opt == a", "expected `)` at character 10"),
        ("opt in a", "expected `[` at character 8, found 'a'"),
        ("opt in [a b]", "expected `,` or `]` at character 11, found 'b'"),
        ("opt not a", "expected `in` at character 9"),
        ("opt == a; import os", "expected a name, a value or a comparison at character 9, found ';'"),
        ("lr + 1 > 2", "expected a name, a value or a comparison at character 4, found '+'"),
        ("__import__('os') == 1", "expected a comparison such as == or < at character 11, found '('"),
        ("opt == 'a", "at character 8"),
        ("lr > 1e999", "1e999 is not a finite number"),
        ("(" * 60 + "opt == a" + ")" * 60, "has more than 40 brackets within one another"),
        ("not " * 60 + "opt == a", "has more than 40 negations"),
        ("opt == a or " * 400 + "opt == b", f"at most {LONGEST} are read"),
        ("and == 1", "expected a parameter or a value at character 1, found 'and'"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse(text, NAMES)
    assert words in str(refused.value)


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        rule = parse(text, NAMES)
    except ValueError:
        return
    assert truth(rule, {}) in (-1, 0, 1)
