"""Values of the heart as strict JSON, by their type hints.

One codec per type, put together once: dataclasses become objects, a union of dataclasses names its class
under `"is"`, a number that is not finite becomes a text. A field that holds its empty default (None, "", 0,
False, no items) is left out; one that is missing takes its default and one that is unknown is passed over,
so that older and newer programs read each other's rows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Generic, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
Convert: TypeAlias = Callable[[Any], Any]

TAG = "is"
NUMBER = "float"
_SCALARS = frozenset({str, int, float, bool})
_NEVER = object()


class CodecError(ValueError):
    """A stored text is not a value of the type it should be."""


def _refuse(name: str) -> float:
    raise CodecError(f"{name} is not strict JSON")


_to_text = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_from_text = json.JSONDecoder(parse_constant=_refuse).decode


class Codec(Generic[T]):
    """Writes and reads values of one type.

    Args:
        hint: a dataclass, or a union of dataclasses.
        without: top-level fields that are not written, nor read: they take what `loads` is given, or defaults.
    """

    def __init__(self, hint: object, without: tuple[str, ...] = ()) -> None:
        self._encode = _dataclass_encoder(hint, without) if without else _required(_encoder(hint))
        self._decode = _dataclass_decoder(hint, without) if without else _decoder(hint)

    def dumps(self, value: T) -> str:
        return _to_text(self._encode(value))

    def loads(self, text: str, **given: object) -> T:
        """The value of a text; `given` are the fields that the codec is without.

        Raises:
            CodecError: the text is not such a value.
        """
        try:
            data = _from_text(text)
            value: T = self._decode(data) if not given else self._decode(data, **given)
        except CodecError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CodecError(f"cannot read {text[:200]!r}: {error}") from error
        return value


def mark_of(value: float) -> str | None:
    """The name of a number that is not finite, else None."""
    if -math.inf < value < math.inf:
        return None
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


# ---- writing; None stands for "as it is" ----


@cache
def _encoder(hint: Any) -> Convert | None:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _union_encoder(_members(hint))
    if is_dataclass(hint) and isinstance(hint, type):
        return _dataclass_encoder(hint, ())
    if hint is float:
        return _float_out
    if hint in _SCALARS or (isinstance(hint, type) and issubclass(hint, Enum)):
        return None
    if origin is tuple:
        item = _encoder(_item_of(hint))
        return None if item is None else lambda value: [item(each) for each in value]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_encoder(*get_args(hint))
    raise TypeError(f"no JSON for {hint}")


def _required(convert: Convert | None) -> Convert:
    return (lambda value: value) if convert is None else convert


def _float_out(value: float) -> float | str:
    return value if -math.inf < value < math.inf else mark_of(value) or value


def _scalar_out(value: object) -> object:
    """A scalar that may be text or number: a text `NaN` and the number NaN stay apart."""
    if isinstance(value, float) and (mark := mark_of(value)):
        return {NUMBER: mark}
    return value


def _union_encoder(members: tuple[Any, ...]) -> Convert | None:
    if set(members) <= _SCALARS and len(members) > 1:
        return _scalar_out
    if len(members) == 1:
        inner = _encoder(members[0])
        return None if inner is None else lambda value: None if value is None else inner(value)
    _only_dataclasses(members)
    table = {member: _dataclass_encoder(member, (), member.__name__) for member in members}
    return lambda value: table[type(value)](value)


def _mapping_encoder(key: Any, item: Any) -> Convert:
    inner = _encoder(item)
    if key is str:
        return dict if inner is None else lambda value: {name: inner(each) for name, each in value.items()}
    if key is int:
        write = _required(inner)
        return lambda value: {str(number): write(each) for number, each in value.items()}
    raise TypeError(f"no JSON for a mapping by {key}")


def _dataclass_encoder(hint: Any, without: tuple[str, ...], tag: str | None = None) -> Convert:
    hints = get_type_hints(hint)
    plan = tuple(
        (field.name, _empty_default(field), _encoder(hints[field.name]))
        for field in fields(hint)
        if field.name not in without
    )

    def encode(value: object) -> dict[str, Any]:
        data: dict[str, Any] = {} if tag is None else {TAG: tag}
        for name, empty, write in plan:
            item = getattr(value, name)
            if not item and (item is empty or (item == empty and type(item) is type(empty))):
                continue
            data[name] = item if write is None else write(item)
        return data

    return encode


def _empty_default(field: Field[Any]) -> object:
    """The default that need not be written, or a value equal to nothing."""
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return default if default is not MISSING and not default else _NEVER


# ---- reading ----


@cache
def _decoder(hint: Any) -> Convert:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _union_decoder(_members(hint))
    if is_dataclass(hint) and isinstance(hint, type):
        return _dataclass_decoder(hint, ())
    if hint is float:
        return _float_in
    if hint in _SCALARS:
        return _same
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {member.value: member for member in hint}.__getitem__
    if origin is tuple:
        item = _decoder(_item_of(hint))
        return tuple if item is _same else lambda value: tuple([item(each) for each in value])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_decoder(*get_args(hint))
    raise TypeError(f"no JSON for {hint}")


def _same(value: Any) -> Any:
    return value


def _float_in(value: Any) -> Any:
    return float(value) if type(value) is str else value


def _scalar_in(value: Any) -> Any:
    return float(value[NUMBER]) if type(value) is dict else value


def _union_decoder(members: tuple[Any, ...]) -> Convert:
    if set(members) <= _SCALARS and len(members) > 1:
        return _scalar_in
    if len(members) == 1:
        inner = _decoder(members[0])
        return inner if inner is _same else lambda value: None if value is None else inner(value)
    _only_dataclasses(members)
    table = {member.__name__: _decoder(member) for member in members}

    def decode(data: dict[str, Any]) -> Any:
        read = table.get(data[TAG])
        if read is None:
            raise CodecError(f"{data[TAG]!r} is not one of {', '.join(table)}; was it written by a newer Tunewright?")
        return read(data)

    return decode


def _mapping_decoder(key: Any, item: Any) -> Convert:
    inner = _decoder(item)
    if key is str:
        return dict if inner is _same else lambda value: {name: inner(each) for name, each in value.items()}
    return lambda value: {int(number): inner(each) for number, each in value.items()}


def _dataclass_decoder(hint: Any, without: tuple[str, ...]) -> Convert:
    hints = get_type_hints(hint)
    plan = {field.name: _decoder(hints[field.name]) for field in fields(hint) if field.name not in without}

    def decode(data: dict[str, Any], **given: Any) -> Any:
        for name, item in data.items():
            read = plan.get(name)
            if read is not None:
                given[name] = read(item)
        return hint(**given)

    return decode


# ---- hints ----


def _members(hint: Any) -> tuple[Any, ...]:
    return tuple(member for member in get_args(hint) if member is not NoneType)


def _item_of(hint: Any) -> Any:
    item, *rest = get_args(hint)
    if rest != [...]:
        raise TypeError(f"no JSON for {hint}: only tuples of one type and any length")
    return item


def _only_dataclasses(members: tuple[Any, ...]) -> None:
    if not all(is_dataclass(member) for member in members):
        raise TypeError(f"no JSON for a union of {members}: only scalars, or only dataclasses")
