"""Arguments of a training script: what is known of one, and how argparse's are read off a syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunewright.core.space import Value

MISSING = object()
_LARGEST = 2**53
_TAKING = ("store", "append", "extend")
"""Actions of argparse that take a value; `count`, `store_true` and the like take none."""


TRUE = "always true"
"""The kind of an option whose values argparse turns into booleans: every text is true, "False" too."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One command-line argument of a script.

    Args:
        name: as a hyperparameter: the long option without its dashes; of a positional argument its own.
        kind: `float`, `int`, `str`, `flag`, `TRUE`, or the text of a type that is none of these.
        default: its value when it can be read, else None.
        choices: the values it is limited to.
        variable: the SM_* variable that its default comes from, or "".
        required: the script ends when it is not given.
        option: as the script knows it, such as `--lr`; "" for a positional argument.
        bounds: the lowest and the highest number that it takes, where it says so.
    """

    name: str
    kind: str
    default: Value | None = None
    choices: Sequence[Value] = ()
    variable: str = ""
    required: bool = False
    option: str = ""
    bounds: tuple[float | None, float | None] = (None, None)

    @property
    def passed(self) -> str:
        """How a training job is given it, by the convention of SageMaker's training toolkit."""
        return f"-{self.name}" if len(self.name) == 1 else f"--{self.name}"


def literal(node: ast.expr | None, constants: Mapping[str, object]) -> object:
    """The constant that an expression is, or MISSING."""
    if node is None:
        return MISSING
    if isinstance(node, ast.Name):
        return constants.get(node.id, MISSING)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return MISSING


def called(call: ast.Call) -> str:
    """The last part of what is called: `option` for `click.option(...)`."""
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def keywords(call: ast.Call) -> dict[str, ast.expr]:
    """Arguments of a call that are given by name."""
    return {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}


def spelled(options: Sequence[str]) -> str:
    """Of an option's spellings the one that a training job can give, else the longest; "" of none."""
    return max(options, key=lambda text: (_can_be_passed(text), len(text)), default="")


def positional(name: str) -> Argument:
    """An argument without a dash, which must be given."""
    return Argument(name, "str", required=True)


def commands(tree: ast.Module) -> tuple[list[Argument], set[str]]:
    """What `add_subparsers` of argparse wants, and the names of the parsers that `add_parser` makes for it.

    Their arguments can only be given behind a command, which is none of a training job's.
    """
    wanted: list[Argument] = []
    parsers: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) == "add_subparsers":
            dest = literal(keywords(node).get("dest"), {})
            wanted.append(positional(dest if isinstance(dest, str) else "command"))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and called(node.value) == "add_parser":
            parsers |= {ast.unparse(target) for target in node.targets}
    return wanted, parsers


def parsed(call: ast.Call, constants: Mapping[str, object]) -> Argument | None:
    """What an `add_argument` of argparse says."""
    if not (isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"):
        return None
    option = spelled([text for node in call.args if isinstance(text := literal(node, constants), str)])
    if not option.strip("-") or option in ("--help", "--version"):
        return None
    named = keywords(call)
    default = literal(named.get("default"), constants)
    choices = _choices(named.get("choices"), constants)
    value = default if isinstance(default, Value) else None
    return Argument(
        option.lstrip("-"),
        _kind(named, value, choices),
        value,
        choices,
        _variable(named.get("default")),
        literal(named.get("required"), constants) is True,
        option if option.startswith("-") else "",
    )


def _can_be_passed(option: str) -> bool:
    """Whether an option is spelled as training jobs are given it: `-C` of one letter, else `--lr`."""
    name = option.lstrip("-")
    return option == (f"-{name}" if len(name) == 1 else f"--{name}")


def _choices(node: ast.expr | None, constants: Mapping[str, object]) -> Sequence[Value]:
    """The values of a list, a tuple or `range(3, 8)`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        ends = [literal(each, constants) for each in node.args]
        numbers = [end for end in ends if isinstance(end, int) and abs(end) < _LARGEST]
        fits = len(numbers) == len(ends) in (1, 2, 3) and 0 not in numbers[2:]
        return range(*numbers) if fits else ()
    listed = literal(node, constants)
    return tuple(v for v in listed if isinstance(v, Value)) if isinstance(listed, list | tuple) else ()


def _kind(named: Mapping[str, ast.expr], default: Value | None, choices: Sequence[Value]) -> str:
    action = named.get("action")
    if action is not None and not (isinstance(action, ast.Constant) and action.value in _TAKING):
        return "flag"
    given = named.get("type")
    if isinstance(given, ast.Name) and given.id in ("float", "int", "str"):
        return given.id
    if given is not None:
        kind = ast.unparse(given)
    else:
        kind = type(default if default is not None else choices[0] if choices else "").__name__
    return TRUE if kind == "bool" else kind


def _variable(node: ast.expr | None) -> str:
    """The SM_* variable in a default such as os.environ["SM_CHANNEL_TRAIN"]."""
    for part in ast.walk(node) if node is not None else ():
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.startswith("SM_"):
            return part.value
    return ""
