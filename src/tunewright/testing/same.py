"""Equality by value, for tests: NaN equals NaN, types of numbers count, and so does the order of a mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass


def same(one: object, other: object) -> bool:
    """Whether two values of the heart are the same, down to 1 and 1.0 and True being three values."""
    if is_dataclass(one) and not isinstance(one, type):
        names = [field.name for field in fields(one)]
        return type(one) is type(other) and all(same(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, str) or one is None:
        # An enumeration's word is its text.
        return one == other
    if isinstance(one, Mapping):
        if not isinstance(other, Mapping) or list(one) != list(other):
            return False
        return all(same(one[key], other[key]) for key in one)
    if isinstance(one, Sequence):
        if not isinstance(other, Sequence) or len(one) != len(other):
            return False
        return all(same(mine, theirs) for mine, theirs in zip(one, other, strict=True))
    if isinstance(one, bool | int | float):
        return type(one) is type(other) and (one == other or (one != one and other != other))
    raise TypeError(f"cannot compare {one!r}")
