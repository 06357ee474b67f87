"""What a training script tells of itself: arguments, metrics and imports, read off its syntax tree.

The script is never run or imported.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tunewright.core.errors import Invalid
from tunewright.core.space import Value

_MISSING = object()
_LARGEST = 2**53
FIXED = re.compile(r"epoch|iter|round|step|seed|worker|jobs|interval|verbose|patience|device|gpu|log|every")
"""Names that are settings of a run rather than hyperparameters or metrics."""

_METRIC_TEXT = re.compile(r"([A-Za-z][A-Za-z0-9_:/@.-]*)\s*[=:]\s*$")


@dataclass(frozen=True, slots=True)
class Argument:
    """One command-line argument of a script.

    Args:
        name: as a hyperparameter: the long option without its dashes; of a positional argument its own.
        kind: `float`, `int`, `str`, `flag`, or the text of a type that is none of these.
        default: its value when it can be read, else None.
        choices: the values it is limited to.
        variable: the SM_* variable that its default comes from, or "".
        required: the script ends when it is not given.
        option: as the script knows it, such as `--lr`; "" for a positional argument.
    """

    name: str
    kind: str
    default: Value | None = None
    choices: Sequence[Value] = ()
    variable: str = ""
    required: bool = False
    option: str = ""

    @property
    def passed(self) -> str:
        """How a training job is given it, by the convention of SageMaker's training toolkit."""
        return f"-{self.name}" if len(self.name) == 1 else f"--{self.name}"


@dataclass(frozen=True, slots=True)
class Script:
    """What a script tells about itself.

    Args:
        printed: metric name to the text printed before its value.
        reported: names of metrics given to `report`.
        siblings: modules and packages beside the script that it imports.
    """

    arguments: tuple[Argument, ...] = ()
    printed: Mapping[str, str] = field(default_factory=dict)
    reported: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()


def read_script(path: Path) -> Script:
    """Read a script's arguments, metrics and imports.

    Raises:
        Invalid: there is no such file, or it is not Python.
    """
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except FileNotFoundError:
        raise Invalid.one(str(path), "there is no such file.") from None
    except OSError as error:
        raise Invalid.one(str(path), f"cannot be read: {error.strerror}.") from error
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise Invalid.one(f"{path}{line}", f"is not Python: {reason}.") from error
    constants = dict(_constants(tree))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    arguments = {found.name: found for call in calls if (found := _argument(call, constants)) is not None}
    printed: dict[str, str] = {}
    for call in calls:
        for name, text in _printed(call):
            printed.setdefault(name, text)
    reported = dict.fromkeys(name for call in calls for name in _reported(call))
    siblings = dict.fromkeys(name for name in _imported(tree) if name != path.stem and _lies_in(path.parent, name))
    return Script(tuple(arguments.values()), printed, tuple(reported), tuple(siblings))


# ---- from the syntax tree ----


def _constants(tree: ast.Module) -> Iterator[tuple[str, object]]:
    """Names that the module's own level gives a constant."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = _literal(node.value, {})
            if value is not _MISSING:
                yield node.targets[0].id, value


def _literal(node: ast.expr | None, constants: Mapping[str, object]) -> object:
    if node is None:
        return _MISSING
    if isinstance(node, ast.Name):
        return constants.get(node.id, _MISSING)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _MISSING


def _imported(tree: ast.Module) -> Iterator[str]:
    """The first parts of the names of all modules that are imported anywhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _lies_in(directory: Path, module: str) -> bool:
    """Whether a module, or a package with code in it, lies in a directory."""
    package = directory / module
    return package.with_name(f"{module}.py").is_file() or any(package.glob("*.py")) or any(package.glob("*/*.py"))


def _argument(call: ast.Call, constants: Mapping[str, object]) -> Argument | None:
    if not (isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"):
        return None
    options = [text for node in call.args if isinstance(text := _literal(node, constants), str)]
    option = max(options, key=lambda text: (_can_be_passed(text), len(text)), default="")
    if not option.strip("-") or option in ("--help", "--version"):
        return None
    named = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    default = _literal(named.get("default"), constants)
    choices = _choices(named.get("choices"), constants)
    value = default if isinstance(default, Value) else None
    return Argument(
        option.lstrip("-"),
        _kind(named, value, choices),
        value,
        choices,
        _variable(named.get("default")),
        _literal(named.get("required"), constants) is True,
        option if option.startswith("-") else "",
    )


def _can_be_passed(option: str) -> bool:
    """Whether an option is spelled as training jobs are given it: `-C` of one letter, else `--lr`."""
    name = option.lstrip("-")
    return option == (f"-{name}" if len(name) == 1 else f"--{name}")


def _choices(node: ast.expr | None, constants: Mapping[str, object]) -> Sequence[Value]:
    """The values of a list, a tuple or `range(3, 8)`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        ends = [_literal(each, constants) for each in node.args]
        numbers = [end for end in ends if isinstance(end, int) and abs(end) < _LARGEST]
        fits = len(numbers) == len(ends) in (1, 2, 3) and 0 not in numbers[2:]
        return range(*numbers) if fits else ()
    listed = _literal(node, constants)
    return tuple(v for v in listed if isinstance(v, Value)) if isinstance(listed, list | tuple) else ()


def _kind(named: Mapping[str, ast.expr], default: Value | None, choices: Sequence[Value]) -> str:
    action = named.get("action")
    if isinstance(action, ast.Constant) and str(action.value).startswith("store_"):
        return "flag"
    if action is not None and not isinstance(action, ast.Constant):
        return "flag"
    given = named.get("type")
    if isinstance(given, ast.Name) and given.id in ("float", "int", "str"):
        return given.id
    if given is not None:
        return ast.unparse(given)
    sample = default if default is not None else choices[0] if choices else ""
    return type(sample).__name__


def _variable(node: ast.expr | None) -> str:
    """The SM_* variable in a default such as os.environ["SM_CHANNEL_TRAIN"]."""
    for part in ast.walk(node) if node is not None else ():
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.startswith("SM_"):
            return part.value
    return ""


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _printed(call: ast.Call) -> Iterator[tuple[str, str]]:
    """Metrics in print(f"val_acc={acc}"), print("val_acc:", acc) and logger.info(f"...")."""
    if _called(call) not in ("print", "info", "write", "debug", "warning"):
        return
    for place, node in enumerate(call.args):
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        for text, value in itertools.pairwise(parts):
            literal = text.value if isinstance(text, ast.Constant) else None
            if isinstance(literal, str) and isinstance(value, ast.FormattedValue):
                yield from _metric(literal)
        following = call.args[place + 1] if place + 1 < len(call.args) else None
        label = node.value if isinstance(node, ast.Constant) else None
        if isinstance(label, str) and following is not None and not isinstance(following, ast.Constant | ast.JoinedStr):
            yield from _metric(f"{label} ")


def _metric(text: str) -> Iterator[tuple[str, str]]:
    found = _METRIC_TEXT.search(text)
    if found is not None and not FIXED.search(found[1].lower()):
        yield found[1], found[0]


def _reported(call: ast.Call) -> Iterator[str]:
    """Metrics in report(step=3, loss=x) and report(**{"validation:loss": x})."""
    if _called(call) != "report":
        return
    for keyword in call.keywords:
        if keyword.arg is not None and keyword.arg != "step":
            yield keyword.arg
        elif keyword.arg is None and isinstance(keyword.value, ast.Dict):
            for key in keyword.value.keys:
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value
