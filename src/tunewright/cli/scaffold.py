"""A first tuning file from a training script: its arguments and metrics are read off its syntax tree.

The script is never run or imported. What cannot be read is left for a person, with a comment that says so.
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
_NUMBER = "([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)"
_FIXED = re.compile(r"epoch|iter|round|step|seed|worker|jobs|interval|verbose|patience|device|gpu|log|every")
_SHARE = re.compile(r"drop|momentum|ratio|fraction|subsample|colsample|beta|prob|smooth")
_LESS = re.compile(r"loss|err|rmse|mae|mse|perplexity|nll|regret|time|latency|cost")
_METRIC_TEXT = re.compile(r"([A-Za-z][A-Za-z0-9_:/@.-]*)\s*[=:]\s*$")


@dataclass(frozen=True, slots=True)
class Argument:
    """One command-line option of a script.

    Args:
        name: as a hyperparameter: the long option without its dashes.
        kind: `float`, `int`, `str`, `flag`, or the text of a type that is none of these.
        default: its value when it can be read, else None.
        choices: the values it is limited to.
        variable: the SM_* variable that its default comes from, or "".
    """

    name: str
    kind: str
    default: Value | None = None
    choices: tuple[Value, ...] = ()
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """What a script tells about itself.

    Args:
        printed: metric name to the text printed before its value.
        reported: names of metrics given to `report`.
    """

    arguments: tuple[Argument, ...] = ()
    printed: Mapping[str, str] = field(default_factory=dict)
    reported: tuple[str, ...] = ()


def read_script(path: Path) -> Script:
    """Read a script's arguments and metrics.

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
    return Script(tuple(arguments.values()), printed, tuple(reported))


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


def _argument(call: ast.Call, constants: Mapping[str, object]) -> Argument | None:
    if not (isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"):
        return None
    options = [text for node in call.args if isinstance(text := _literal(node, constants), str)]
    long = max((option for option in options if option.startswith("-")), key=len, default="")
    if not long.strip("-") or long in ("--help", "--version"):
        return None
    named = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    default = _literal(named.get("default"), constants)
    listed = _literal(named.get("choices"), constants)
    choices = tuple(v for v in listed if isinstance(v, Value)) if isinstance(listed, list | tuple) else ()
    value = default if isinstance(default, Value) else None
    return Argument(long.lstrip("-"), _kind(named, value, choices), value, choices, _variable(named.get("default")))


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
    if found is not None and not _FIXED.search(found[1].lower()):
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


# ---- into a file ----


def tuning_file(script: Script, entry_point: str, name: str) -> str:
    """The text of a YAML tuning file, with a comment where a person has to decide."""
    tuned, fixed, inputs, notes = _sorted(script.arguments)
    metrics = dict.fromkeys(script.reported) if script.reported else dict(script.printed)
    objective = _objective(list(metrics))
    lines = [
        f"name: {name}",
        "strategy: Bayesian                     # or Random, Grid, Hyperband",
        f"objective: {{metric: {_quoted(objective or 'validation:accuracy')}, type: {_direction(objective)}}}",
        "max_jobs: 20",
        "max_parallel_jobs: 2",
        "parameters:",
        *(tuned or ["  learning_rate: {type: continuous, min: 1.0e-4, max: 0.1}   # no argument to tune was found"]),
        "training:",
        f"  entry_point: {_quoted(entry_point)}",
        *(["  hyperparameters:", *fixed] if fixed else []),
        *_metric_lines(script, objective),
        *(["  inputs:", *inputs] if inputs else []),
        *(f"  # {note}" for note in notes),
    ]
    return "\n".join(lines) + "\n"


def _sorted(arguments: Sequence[Argument]) -> tuple[list[str], list[str], list[str], list[str]]:
    """Lines for what may vary, what stays fixed, inputs, and remarks."""
    tuned: list[str] = []
    fixed: list[str] = []
    inputs: list[str] = []
    notes: list[str] = []
    for argument in arguments:
        key = _quoted(argument.name)
        if argument.variable.startswith("SM_CHANNEL_"):
            channel = argument.variable.removeprefix("SM_CHANNEL_").lower()
            inputs.append(f"    {_quoted(channel)}: ./data/{channel}   # where the data of --{argument.name} lies")
        elif argument.variable:
            continue
        elif argument.kind == "flag":
            notes.append(f"--{argument.name} takes no value, so it cannot be given; make it an option with one.")
        elif (spec := _range(argument)) is not None:
            tuned.append(f"  {key}: {spec}")
        elif argument.default is not None:
            fixed.append(f"    {key}: {_scalar(argument.default)}")
        else:
            notes.append(f"--{argument.name} has no default that can be read; add it under hyperparameters if needed.")
    return tuned, fixed, inputs, notes


def _range(argument: Argument) -> str | None:
    """A first guess at a range around an argument's default, or None to leave it fixed."""
    default = argument.default
    if len(argument.choices) > 1:
        return f"{{type: categorical, values: [{', '.join(map(_scalar, argument.choices))}]}}"
    if isinstance(default, bool) or not isinstance(default, int | float) or _FIXED.search(argument.name.lower()):
        return None
    if argument.kind == "int":
        low, high = sorted((int(default) // 2, int(default) * 2))
        low, high = max(1, low) if default > 0 else low, high if high != low else low + 10
        return f"{{type: integer, min: {low}, max: {high}}}"
    if argument.kind != "float":
        return None
    if _SHARE.search(argument.name.lower()) and 0 <= default <= 1:
        return f"{{type: continuous, min: 0.0, max: {0.99 if default > 0.9 else 0.9}}}"
    if default > 0:
        return f"{{type: continuous, min: {_scalar(default / 10)}, max: {_scalar(default * 10)}, scaling: Logarithmic}}"
    return f"{{type: continuous, min: {_scalar(default - 1.0)}, max: {_scalar(default + 1.0)}}}"


def _objective(names: Sequence[str]) -> str:
    """The metric that most likely counts: one of validation before one of training, then the last."""
    scored = [(bool(re.search(r"val|test|dev", name.lower())), place, name) for place, name in enumerate(names)]
    return max(scored)[2] if scored else ""


def _direction(metric: str) -> str:
    return "Minimize" if _LESS.search(metric.lower()) else "Maximize"


def _metric_lines(script: Script, objective: str) -> list[str]:
    if script.reported:
        return ["  # metrics come from tunewright.report(), so no regular expressions are needed"]
    if not objective:
        example = "validation:accuracy=" + _NUMBER
        remark = "  metrics:                             # no metric was found: print one, and match it here"
        return [remark, f"    'validation:accuracy': '{example}'"]
    patterns = {name: re.sub(r"\\?\s+", r"\\s*", re.escape(text)) + _NUMBER for name, text in script.printed.items()}
    return ["  metrics:", *(f"    {_quoted(name)}: {_in_quotes(pattern)}" for name, pattern in patterns.items())]


def _scalar(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int):
        return str(value)
    text = format(value, ".6g")
    if "." not in text:
        text = text.replace("e", ".0e") if "e" in text else f"{text}.0"
    return text


_WORDS = ("true", "false", "null", "yes", "no", "on", "off")


def _quoted(text: str) -> str:
    """Text as YAML: bare where it is a plain word, else in single quotes."""
    bare = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", text) and text.lower() not in _WORDS
    return text if bare else _in_quotes(text)


def _in_quotes(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
