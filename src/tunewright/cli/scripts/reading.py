"""What a training script tells of itself: arguments, metrics and imports, read off its syntax tree.

The script is never run or imported.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tunewright.cli.scripts.arguments import MISSING, Argument, called, commands, literal, parsed
from tunewright.cli.scripts.decorated import clicked, typed
from tunewright.core.errors import Invalid

FIXED = re.compile(r"epoch|iter|round|step|seed|worker|jobs|interval|verbose|patience|device|gpu|log|every")
"""Names that are settings of a run rather than hyperparameters or metrics."""

_PLACE = re.compile(r"%[-+ #0-9.]*[a-zA-Z]|\{[^{}]*\}")
"""Where a value goes in a template."""
_METRIC_TEXT = re.compile(r"([A-Za-z][A-Za-z0-9_:/@.-]*)\s*[=:]\s*$")


@dataclass(frozen=True, slots=True)
class Script:
    """What a script tells about itself.

    Args:
        printed: metric name to the text printed before its value.
        reported: names of metrics given to `report`.
        siblings: modules and packages beside the script that it imports.
        hydra: its main function is Hydra's.
        variables: those of the environment that it reads, SageMaker's left out.
    """

    arguments: tuple[Argument, ...] = ()
    printed: Mapping[str, str] = field(default_factory=dict)
    reported: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()
    hydra: bool = False
    variables: tuple[str, ...] = ()


def read_script(path: Path) -> Script:
    """Read a script's arguments, metrics and imports.

    Raises:
        Invalid: there is no such file, or it is not Python.
    """
    if path.suffix == ".ipynb":
        remedy = "make a script of it (jupyter nbconvert --to script), or tune a function in it with FunctionEstimator."
        raise Invalid.one(str(path), f"is a notebook: {remedy}")
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except FileNotFoundError:
        raise Invalid.one(str(path), "there is no such file.") from None
    except OSError as error:
        raise Invalid.one(str(path), f"cannot be read: {error.strerror or error}.") from error
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise Invalid.one(f"{path}{line}", f"is not Python: {reason}.") from error
    constants = dict(_constants(tree))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    wanted, parsers = commands(tree)
    own = [call for call in calls if not parsers & {ast.unparse(part) for part in ast.iter_child_nodes(call.func)}]
    read = [*wanted, *(found for call in own if (found := parsed(call, constants)) is not None)]
    arguments = {found.name: found for found in [*read, *clicked(tree, constants), *typed(tree, constants)]}
    printed: dict[str, str] = {}
    for call in calls:
        for name, text in _printed(call):
            printed.setdefault(name, text)
    reported = dict.fromkeys(name for call in calls for name in _reported(call))
    siblings = dict.fromkeys(name for name in _imported(tree) if name != path.stem and _lies_in(path.parent, name))
    hydra = any(ast.unparse(call.func) == "hydra.main" for call in calls)
    variables = dict.fromkeys(_variables(tree))
    return Script(tuple(arguments.values()), printed, tuple(reported), tuple(siblings), hydra, tuple(variables))


# ---- from the syntax tree ----


def _constants(tree: ast.Module) -> Iterator[tuple[str, object]]:
    """Names that the module's own level gives a constant."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = literal(node.value, {})
            if value is not MISSING:
                yield node.targets[0].id, value


def _variables(tree: ast.Module) -> Iterator[str]:
    """NAME in os.environ["NAME"], os.environ.get("NAME") and os.getenv("NAME")."""
    for node in ast.walk(tree):
        name: object = None
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
            name = literal(node.slice, {})
        elif isinstance(node, ast.Call) and re.search(r"(environ\.get|getenv)$", ast.unparse(node.func)) and node.args:
            name = literal(node.args[0], {})
        if isinstance(name, str) and not name.startswith("SM_"):
            yield name


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


def _printed(call: ast.Call) -> Iterator[tuple[str, str]]:
    """Metrics in print(f"val_acc={acc}"), print("val_acc:", acc), logger.info("loss: %.4f", x) and the like."""
    if called(call) not in ("print", "info", "write", "debug", "warning", "echo"):
        return
    for template in filter(None, map(_template, call.args)):
        for text in _PLACE.split(template)[:-1]:
            yield from _metric(text)
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


def _template(node: ast.expr) -> str:
    """The text in "loss: %.4f", "loss: %.4f" % x and "loss: {:.4f}".format(x); "" of anything else."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        node = node.left
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        node = node.func.value
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _metric(text: str) -> Iterator[tuple[str, str]]:
    found = _METRIC_TEXT.search(text)
    if found is not None and not FIXED.search(found[1].lower()):
        yield found[1], found[0]


def _reported(call: ast.Call) -> Iterator[str]:
    """Metrics in report({"loss": x}), report(step=3, loss=x) and report(**{"validation:loss": x})."""
    if called(call) != "report":
        return
    for keyword in call.keywords:
        if keyword.arg not in (None, "step"):
            yield str(keyword.arg)
    tables = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg is None)]
    for table in tables:
        for key in table.keys if isinstance(table, ast.Dict) else ():
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value
