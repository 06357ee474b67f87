"""Ranges, their rules, and lossless casting between native values and the wire's strings."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tunewright.core.errors import Invalid
from tunewright.core.space import (
    CategoricalParameter,
    ContinuousParameter,
    IntegerParameter,
    Parameter,
    Scaling,
    Space,
    Value,
    decode_value,
    encode_value,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(10**12), 10**12)
text = st.text(max_size=30)
values = st.one_of(text, whole, finite, st.booleans())


def identical(one: Value, other: Value) -> bool:
    """Equal, of one type, and telling -0.0 from 0.0."""
    return type(one) is type(other) and repr(one) == repr(other)


# ---- values as hyperparameter strings ----


@given(values)
def test_a_value_comes_back_with_its_type(value: Value) -> None:
    assert identical(decode_value(encode_value(value)), value)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("sgd", "sgd"),
        ("a b", "a b"),
        ("", ""),
        ("1", '"1"'),
        ("true", '"true"'),
        ("null", '"null"'),
        ("[1, 2]", '"[1, 2]"'),
        ('"quoted"', '"\\"quoted\\""'),
        ("NaN", "NaN"),
        ("1e999", '"1e999"'),
        (64, "64"),
        (237, "237"),
        (0.1, "0.1"),
        (1e-07, "1e-07"),
        (2.0, "2.0"),
        (True, "true"),
        (False, "false"),
    ],
)
def test_how_values_look_on_the_wire(value: Value, encoded: str) -> None:
    assert encode_value(value) == encoded
    assert identical(decode_value(encoded), value)


@pytest.mark.parametrize("raw", ["null", "[1]", '{"a": 1}', "not json", "NaN", "-Infinity", "[" * 2000])
def test_what_is_no_scalar_stays_text(raw: str) -> None:
    assert decode_value(raw) == raw


@given(st.text(alphabet='[]{}"0123456789.eE+-truefalsnINy ,:', max_size=12))
def test_any_text_survives(raw: str) -> None:
    assert identical(decode_value(encode_value(raw)), raw)


# ---- spaces as strings ----


@st.composite
def parameters(draw: st.DrawFn) -> Parameter:
    kind = draw(st.sampled_from(["continuous", "integer", "categorical"]))
    if kind == "continuous":
        low, high = sorted([draw(finite), draw(finite)])
        return ContinuousParameter(low, high)
    if kind == "integer":
        low, high = sorted([draw(whole), draw(whole)])
        return IntegerParameter(low, high)
    return CategoricalParameter(draw(st.lists(values, min_size=1, max_size=5)))


@st.composite
def points(draw: st.DrawFn) -> tuple[Space, dict[str, Value]]:
    space = Space(draw(st.dictionaries(st.text(min_size=1, max_size=8), parameters(), max_size=5)))
    point: dict[str, Value] = {}
    for name, parameter in space.parameters.items():
        match parameter:
            case ContinuousParameter():
                point[name] = draw(st.floats(parameter.min_value, parameter.max_value))
            case IntegerParameter():
                point[name] = draw(st.integers(int(parameter.min_value), int(parameter.max_value)))
            case CategoricalParameter():
                point[name] = draw(st.sampled_from(parameter.values))
    return space, point


@given(points())
def test_a_point_survives_the_wire(drawn: tuple[Space, dict[str, Value]]) -> None:
    space, point = drawn
    assume(not space.problems(strict=False))  # values that look alike on the wire are refused before
    assert space.contains(point)
    texts = space.texts(point)
    assert all(isinstance(value, str) for value in texts.values())
    assert json.loads(json.dumps(texts)) == texts
    back = space.cast(texts)
    assert list(back) == list(space.parameters)
    assert all(identical(back[name], point[name]) for name in point)


@given(st.integers(-(10**9), 10**9))
def test_an_integer_never_turns_into_a_float(value: int) -> None:
    parameter = IntegerParameter(-(10**9), 10**9)
    assert parameter.text(value) == str(value)
    assert parameter.text(float(value)) == str(value), "also when a model computed it as a float"
    assert identical(parameter.cast(f"{value}.0"), value)


@pytest.mark.parametrize("raw", ["x", "", "1.5", "inf", "nan", "1e400"])
def test_what_is_no_integer_is_refused(raw: str) -> None:
    with pytest.raises(ValueError):
        IntegerParameter(0, 10).cast(raw)


@pytest.mark.parametrize("raw", ["x", "", "inf", "nan", "1e400"])
def test_what_is_no_number_is_refused(raw: str) -> None:
    with pytest.raises(ValueError):
        ContinuousParameter(0, 10).cast(raw)


def test_a_category_comes_back_as_itself() -> None:
    space = Space({"units": CategoricalParameter([200, 512, 1000]), "opt": CategoricalParameter(["sgd", "adam"])})
    assert space.cast({"units": "512", "opt": "adam"}) == {"units": 512, "opt": "adam"}
    assert space.texts({"units": 512, "opt": "adam"}) == {"units": "512", "opt": "adam"}


def test_categories_of_the_wire_stay_as_they_were_sent() -> None:
    """Framework estimators of the SageMaker SDK send JSON-quoted text; it passes untouched."""
    quoted = CategoricalParameter(['"sgd"', '"adam"'])
    assert quoted.text('"sgd"') == '"sgd"'
    assert quoted.cast('"adam"') == '"adam"'


def test_casting_names_every_problem() -> None:
    space = Space({"lr": ContinuousParameter(0, 1), "n": IntegerParameter(1, 9), "opt": CategoricalParameter(["a"])})
    with pytest.raises(Invalid) as caught:
        space.cast({"lr": "fast", "opt": "b", "depth": "3"})
    assert [problem.path for problem in caught.value.problems] == ["depth", "lr", "n", "opt"]


# ---- rules ----


def problems(name: str, parameter: Parameter, *, strict: bool = False) -> list[str]:
    return [str(problem) for problem in Space({name: parameter}).problems(strict=strict)]


def test_a_logarithmic_range_starts_above_zero() -> None:
    [problem] = problems("lr", ContinuousParameter(0.0, 0.1, "Logarithmic"))
    assert problem.startswith("lr: Logarithmic needs MinValue > 0, got 0.0. Use a small positive number")
    [problem] = problems("n", IntegerParameter(0, 10, "Logarithmic"))
    assert problem == "n: Logarithmic needs MinValue > 0, got 0. Use 1 or more, or Linear."


@pytest.mark.parametrize(
    "parameter",
    [ContinuousParameter(1.0, 1.0), IntegerParameter(1, 1), CategoricalParameter(["cat1"])],
)
def test_a_range_with_one_value_is_for_extended_mode(parameter: Parameter) -> None:
    assert problems("one", parameter) == []
    [problem] = problems("one", parameter, strict=True)
    assert problem.startswith("one: ")
    assert "Extended mode allows it." in problem


@pytest.mark.parametrize(
    ("parameter", "word"),
    [
        (ContinuousParameter(2.0, 1.0), "greater than MaxValue"),
        (ContinuousParameter(0.0, math.inf), "finite"),
        (ContinuousParameter(math.nan, 1.0), "finite"),
        (ContinuousParameter(0.0, 1.0, "log"), "scaling type 'log'"),
        (ContinuousParameter(0.0, 1.0, "ReverseLogarithmic"), "ReverseLogarithmic needs"),
        (ContinuousParameter(-0.1, 0.5, "ReverseLogarithmic"), "ReverseLogarithmic needs"),
        (IntegerParameter(1.5, 3.0), "whole bounds"),
        (IntegerParameter(2**60, 2**60 + 10), "are not told from their neighbours, being beyond 2**50; tune the dis"),
        (IntegerParameter(0, 3, "ReverseLogarithmic"), "continuous ranges only"),
        (CategoricalParameter([]), "at least one value"),
        (CategoricalParameter(["a", "b", "a"]), "more than once"),
        (CategoricalParameter(["1", 1]), "more than once"),
        (CategoricalParameter([True, "true"]), "more than once"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(parameter: Parameter, word: str) -> None:
    found = problems("p", parameter)
    assert any(word in problem for problem in found), found


def test_all_problems_come_at_once() -> None:
    space = Space(
        {"a": ContinuousParameter(1.0, 0.0), "b": CategoricalParameter([]), "c": IntegerParameter(0, 5, "Logarithmic")}
    )
    assert [problem.path for problem in space.problems(strict=False)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("low", "high", "scaling"),
    [
        (1e-4, 1e-1, Scaling.LOGARITHMIC),
        (0.01, 1.0, Scaling.LOGARITHMIC),
        (0.07, 7.0, Scaling.LOGARITHMIC),
        (0.011, 1.0, Scaling.LINEAR),
        (0.0, 1.0, Scaling.LINEAR),
        (-1.0, 1000.0, Scaling.LINEAR),
    ],
)
def test_automatic_scaling(low: float, high: float, scaling: Scaling) -> None:
    assert ContinuousParameter(low, high).scaling() is scaling


def test_a_chosen_scaling_stays() -> None:
    assert ContinuousParameter(1e-9, 1.0, "Linear").scaling() is Scaling.LINEAR


def test_the_size_of_a_space() -> None:
    three, four = CategoricalParameter(["a", "b", "c"]), IntegerParameter(2, 5)
    assert Space({"a": three, "b": four}).size() == 12
    assert Space({"a": three, "b": ContinuousParameter(0.0, 1.0)}).size() is None
    assert Space({"a": three, "b": ContinuousParameter(1.0, 1.0)}).size() == 3


@pytest.mark.parametrize(
    ("point", "inside"),
    [
        ({"x": 0.5, "n": 3, "c": "a"}, True),
        ({"x": 0.0, "n": 5, "c": 1}, True),
        ({"x": 1.1, "n": 3, "c": "a"}, False),
        ({"x": 0.5, "n": 6, "c": "a"}, False),
        ({"x": 0.5, "n": 3.5, "c": "a"}, False),
        ({"x": 0.5, "n": 3, "c": "z"}, False),
        ({"x": 0.5, "n": 3, "c": True}, False),
        ({"x": True, "n": 3, "c": "a"}, False),
        ({"x": 0.5, "n": 3}, False),
        ({"x": 0.5, "n": 3, "c": "a", "d": 1}, False),
    ],
)
def test_what_lies_in_a_space(point: dict[str, Value], inside: bool) -> None:
    space = Space(
        {"x": ContinuousParameter(0.0, 1.0), "n": IntegerParameter(1, 5), "c": CategoricalParameter(["a", 1])}
    )
    assert space.contains(point) is inside


def test_one_value_needs_no_list() -> None:
    assert CategoricalParameter("sgd").values == ("sgd",)


def test_bounds_and_values_beyond_floats_are_told_or_are_none() -> None:
    assert not IntegerParameter(0, 5).contains(math.inf)
    assert not IntegerParameter(0, 5).contains(math.nan)
    assert decode_value("1e999") == "1e999"
    for one in (IntegerParameter(0, 10**400), ContinuousParameter(0.0, 5e-324)):
        assert list(one.problems("x", strict=True)), one
    near = Space({"x": ContinuousParameter(1e308, math.nextafter(1e308, math.inf))})
    assert not list(near.problems(strict=False))
