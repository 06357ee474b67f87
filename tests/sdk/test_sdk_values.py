"""Native values to the wire's strings and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tunewright.core.errors import Invalid
from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Value
from tunewright.sdk.values import (
    decode_hyperparameter,
    encode_hyperparameter,
    encode_hyperparameters,
    native,
    natives,
    normalised,
    ranges_from,
    ranges_shape,
    space_of,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("resnet", "resnet"),
        ("a b", "a b"),
        ("3", '"3"'),
        ("true", '"true"'),
        (3, "3"),
        (0.5, "0.5"),
        (1e-8, "1e-08"),
        (True, "true"),
        (None, "null"),
        ([1, "x"], '[1, "x"]'),
        ({"a": 1}, '{"a": 1}'),
        (np.int64(3), "3"),
        (np.float64(0.1), "0.1"),
        (np.bool_(True), "true"),
    ],
)
def test_hyperparameters_become_strings(value: object, text: str) -> None:
    assert encode_hyperparameter(value) == text


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**60), 2**60)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )
)
@example("[1, 2]")
@example("null")
@example('{"a": 1}')
def test_hyperparameters_come_back_as_they_were(value: object) -> None:
    assert decode_hyperparameter(encode_hyperparameter(value)) == value


def test_every_value_that_is_no_hyperparameter_is_named() -> None:
    with pytest.raises(Invalid) as caught:
        encode_hyperparameters({"a": object(), "b": 1, "c": {1, 2}, "d": [float("nan")]})
    assert [problem.path for problem in caught.value.problems] == [
        "hyperparameters.a",
        "hyperparameters.c",
        "hyperparameters.d",
    ]


def test_bounds_are_strings_of_their_kind_whatever_numbers_they_were() -> None:
    space = space_of(
        {
            "i": IntegerParameter(np.int64(200), 500.0),  # type: ignore[arg-type]
            "f": ContinuousParameter(0, np.float64(1.5)),
            "g": ContinuousParameter("0.001", "0.1", "Logarithmic"),  # type: ignore[arg-type]
        }
    )
    shape = ranges_shape(space)
    assert shape["IntegerParameterRanges"] == [
        {"Name": "i", "MinValue": "200", "MaxValue": "500", "ScalingType": "Auto"}
    ]
    assert shape["ContinuousParameterRanges"] == [
        {"Name": "f", "MinValue": "0", "MaxValue": "1.5", "ScalingType": "Auto"},
        {"Name": "g", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Logarithmic"},
    ]
    assert shape["CategoricalParameterRanges"] == []


def test_what_is_no_range_is_refused_by_name() -> None:
    with pytest.raises(Invalid) as caught:
        space_of({"lr": (0.1, 1), "n": IntegerParameter("few", 3), "ok": CategoricalParameter(["a"])})  # type: ignore[arg-type]
    assert [problem.path for problem in caught.value.problems] == ["lr", "n"]
    assert "ContinuousParameter(low, high)" in str(caught.value)


VALUES = st.one_of(
    st.text(max_size=8),
    st.integers(-(10**9), 10**9),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.booleans(),
)


@example(["true", True])
@given(st.lists(VALUES, min_size=1, max_size=6, unique_by=lambda value: (str(value), type(value).__name__)))
def test_categories_come_back_with_their_types(values: list[Value]) -> None:
    parameter = CategoricalParameter(values)
    sent = ranges_shape(space_of({"c": parameter}))["CategoricalParameterRanges"][0]["Values"]
    known = [native(parameter, text) for text in sent]
    assert [(type(value), value) for value in known] == [(type(value), value) for value in values]
    unknown = ranges_from({"CategoricalParameterRanges": [{"Name": "c", "Values": sent}]})["c"]
    assert isinstance(unknown, CategoricalParameter)
    assert [(type(value), value) for value in unknown.values] == [(type(value), value) for value in values]


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**53), 2**53))
def test_numbers_come_back_as_they_were(real: float, whole: int) -> None:
    ranges = {"f": ContinuousParameter(-1e308, 1e308), "i": IntegerParameter(-(2**53), 2**53)}
    found = natives(ranges, {"f": repr(real), "i": str(whole)})
    assert found == {"f": real, "i": whole}
    assert type(found["f"]) is float and type(found["i"]) is int


def test_ranges_keep_their_scaling_through_a_description() -> None:
    ranges = {
        "lr": ContinuousParameter(1e-5, 1.0, "Logarithmic"),
        "m": ContinuousParameter(0.5, 0.999, "ReverseLogarithmic"),
        "n": IntegerParameter(1, 64, "Linear"),
        "opt": CategoricalParameter(["sgd", "adam"]),
    }
    assert ranges_from(ranges_shape(space_of(ranges))) == ranges


def test_case_13_an_index_is_never_shown_for_a_category() -> None:
    assert native(CategoricalParameter([200, 512, 1000]), "512") == 512


def test_numbers_of_numpy_are_python_numbers_afterwards() -> None:
    parameter = normalised("n", CategoricalParameter([np.int64(1), np.float64(0.5)]))  # type: ignore[list-item]
    assert isinstance(parameter, CategoricalParameter)
    assert [type(value) for value in parameter.values] == [int, float]
