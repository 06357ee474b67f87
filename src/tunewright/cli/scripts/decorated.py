"""Options of programs on Click and on Typer, read off their syntax trees."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tunewright.cli.scripts.arguments import Argument, called, keywords, literal, positional, spelled
from tunewright.core.space import Value

_TYPES = {"FLOAT": "float", "INT": "int", "STRING": "str", "FloatRange": "float", "IntRange": "int", "BOOL": "bool"}
_Constants = Mapping[str, object]
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def clicked(tree: ast.Module, constants: _Constants) -> Iterator[Argument]:
    """What the decorators `click.option` and `click.argument` declare; of a group only that it wants a command."""
    decorators = [each for node in ast.walk(tree) if isinstance(node, _Function) for each in node.decorator_list]
    calls = [each for each in decorators if isinstance(each, ast.Call)]
    if any(called(call) == "group" for call in calls) or any(ast.unparse(each) == "click.group" for each in decorators):
        yield positional("command")
        return
    for call in calls:
        if called(call) in ("option", "argument"):
            texts = [text for each in call.args if isinstance(text := literal(each, constants), str)]
            if called(call) == "argument":
                yield from map(positional, texts[:1])
            elif option := spelled([text for text in texts if text.startswith("-")]):
                yield _option(option, keywords(call), constants)


def _option(option: str, named: Mapping[str, ast.expr], constants: _Constants) -> Argument:
    first, slash, _ = option.partition("/")
    default = _value(named.get("default"), constants)
    given = named.get("type")
    kind = type(default).__name__ if default is not None else "str"
    read = Argument(first.lstrip("-"), kind, default, option=first)
    if isinstance(given, ast.Call):
        read = _typed_by(read, given, constants)
    elif given is not None:
        name = given.attr if isinstance(given, ast.Attribute) else ast.unparse(given)
        read = replace(read, kind=_TYPES.get(name, name))
    is_flag = slash or _switches(named, constants)
    required = literal(named.get("required"), constants) is True
    return replace(read, kind="flag" if is_flag else read.kind, required=required)


def _switches(named: Mapping[str, ast.expr], constants: _Constants) -> bool:
    """Whether an option of Click's takes no value: a flag, or one that is counted."""
    said = literal(named.get("is_flag"), constants)
    return (
        said is True or ("flag_value" in named and said is not False) or literal(named.get("count"), constants) is True
    )


def _typed_by(read: Argument, given: ast.Call, constants: _Constants) -> Argument:
    """With the choices of `click.Choice([...])` or the bounds of `click.IntRange(1, max=9)`."""
    named, places = keywords(given), given.args
    if called(given) == "Choice":
        listed = literal(places[0] if places else named.get("choices"), constants)
        return replace(read, kind="str", choices=_values(listed))
    ends = [places[place] if place < len(places) else named.get(key) for place, key in enumerate(("min", "max"))]
    low, high = (_number(end, constants) for end in ends)
    return replace(read, kind=_TYPES.get(called(given), called(given)), bounds=(low, high))


def typed(tree: ast.Module, constants: _Constants) -> Iterator[Argument]:
    """Parameters of the one function that is a Typer program; of several, or with a callback, a command."""
    if not re.search(r"^(?:import|from) typer\b", ast.unparse(tree), re.MULTILINE):
        return
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "typer.run"]
    run = {each.id for call in calls for each in call.args if isinstance(each, ast.Name)}
    functions = [node for node in tree.body if isinstance(node, _Function) and (node.name in run or _commands(node))]
    if len(functions) != 1 or any(called(call) == "callback" for call in _decorations(tree)):
        yield from [positional("command")] if functions else []
        return
    enums = dict(_enums(tree, constants))
    own = functions[0].args
    parameters = [*own.posonlyargs, *own.args]
    defaults = [*[None] * (len(parameters) - len(own.defaults)), *own.defaults, *own.kw_defaults]
    for parameter, default in zip([*parameters, *own.kwonlyargs], defaults, strict=True):
        if not ast.unparse(parameter.annotation or parameter).endswith("Context"):
            yield _parameter(parameter, default, enums, constants)


def _decorations(tree: ast.Module) -> Iterator[ast.Call]:
    """The decorators of the module's functions that are called."""
    for node in tree.body:
        if isinstance(node, _Function):
            yield from (each for each in node.decorator_list if isinstance(each, ast.Call))


def _commands(function: _Function) -> bool:
    return any(isinstance(each, ast.Call) and called(each) == "command" for each in function.decorator_list)


def _parameter(
    parameter: ast.arg, default: ast.expr | None, enums: Mapping[str, Mapping[str, Value]], constants: _Constants
) -> Argument:
    """One parameter: `lr: float = 0.1`, with a `typer.Option(...)` as its default or in its annotation, or without."""
    kind, extra = _annotated(parameter.annotation)
    if isinstance(default, ast.Call) and called(default) in ("Option", "Argument"):
        extra, default = default, default.args[0] if default.args else keywords(default).get("default")
        default = None if isinstance(default, ast.Constant) and default.value is ... else default
    if called(extra) == "Argument" if extra is not None else default is None:
        return positional(parameter.arg)
    named = keywords(extra) if extra is not None else {}
    texts = [text for each in extra.args if isinstance(text := literal(each, constants), str)] if extra else []
    option = spelled([text for text in texts if text.startswith("-")]) or f"--{parameter.arg.replace('_', '-')}"
    members = enums.get(kind, {})
    value = _value(default, constants)
    if isinstance(default, ast.Attribute):
        value = members.get(default.attr)
    return Argument(
        name=option.partition("/")[0].lstrip("-"),
        kind="flag" if kind == "bool" or _switches(named, constants) else "str" if members else kind,
        default=value,
        choices=tuple(members.values()),
        required=default is None,
        option=option.partition("/")[0],
        bounds=(_number(named.get("min"), constants), _number(named.get("max"), constants)),
    )


def _annotated(node: ast.expr | None) -> tuple[str, ast.Call | None]:
    """The type that an annotation names, and the `typer.Option(...)` in it."""
    if isinstance(node, ast.Subscript):
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if ast.unparse(node.value).endswith("Annotated"):
            return _annotated(inner[0])[0], next((each for each in inner if isinstance(each, ast.Call)), None)
        if ast.unparse(node.value).endswith("Optional"):
            return _annotated(inner[0])
    if isinstance(node, ast.BinOp):
        return _annotated(node.left)
    return ast.unparse(node) if node is not None else "str", None


def _enums(tree: ast.Module, constants: _Constants) -> Iterator[tuple[str, dict[str, Value]]]:
    """Name and members of each class of constants."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in node.bases):
            given = [each for each in node.body if isinstance(each, ast.Assign)]
            pairs = [(each.targets[0], _value(each.value, constants)) for each in given]
            yield node.name, {at.id: v for at, v in pairs if isinstance(at, ast.Name) and v is not None}


def _value(node: ast.expr | None, constants: _Constants) -> Value | None:
    found = literal(node, constants)
    return found if isinstance(found, Value) else None


def _values(listed: object) -> Sequence[Value]:
    return tuple(each for each in listed if isinstance(each, Value)) if isinstance(listed, list | tuple) else ()


def _number(node: ast.expr | None, constants: _Constants) -> float | None:
    found = literal(node, constants)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None
