"""The shape of the source: who may import whom, how long things may be, and that importing does nothing.

A failing test here names the file, the line and the rule. Exceptions are listed in this file, each with its
reason; a line is added to a list only together with the reason.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
OURS = "tunewright"

MIDDLE = {"search", "control", "store", "executors", "objects"}
FACES = {"aws", "web", "plots", "testing"}
OUTERMOST = {"sdk", "cli", "tuner", "estimator", "sagemaker", "__init__", "__main__"}
INWARD = {"core", "settings", "script"} | MIDDLE | FACES | {"hands", "assembly"}

MAY_IMPORT: Mapping[str, set[str]] = {
    "core": set(),
    "script": set(),
    "algorithms": {"script"},
    "settings": {"core"},
    **{room: {"core"} for room in MIDDLE},
    "executors": {"core", "script"},
    "hands": {"core", "executors", "objects", "settings"},
    **{face: {"core", "settings"} | MIDDLE for face in FACES},
    "assembly": INWARD,
    "sdk": INWARD,
    "cli": INWARD | {"sdk"},
    "tuner": INWARD | {"sdk"},
    "estimator": INWARD | {"sdk"},
    "sagemaker": INWARD | {"sdk", "tuner", "estimator"},
    "__init__": INWARD | {"sdk", "tuner", "estimator"},
    "__main__": INWARD | {"cli"},
}
"""Room -> the other rooms whose modules it may import; its own are always allowed.

The command line tells progress in the SDK's words, so it stands outside the SDK. Executors call `script`, the
training program's side, from their function workers; it imports nothing of ours.
"""

NUMBERS = {"numpy", "scipy", "threadpoolctl"}
NUMBERS_LIVE_IN = {"search", "plots"}

OWNS_A_CLOCK: Mapping[str, str] = {
    "tunewright.control.clock": "the loop's clock and its pause",
    "tunewright.executors.clock": "the hands' clock: stamps for the record, and a pause for what no system tells",
    "tunewright.script": "stamps what a training program reports; imports nothing of ours",
    "tunewright.store.database": "pauses before a transaction that another one was in the way of is tried again",
}
"""Modules that may read the wall clock or sleep."""

DEFERRED: Mapping[tuple[str, str], str] = {
    ("tunewright.assembly", "tunewright.search.advisor"): "looking at jobs comes before numpy and scipy",
    ("tunewright.assembly", "tunewright.aws.inprocess"): "a controller without a client comes before botocore",
    ("tunewright.executors.functions.store", "cloudpickle"): "only functions that are not importable need it",
    ("tunewright.executors.functions.travel", "cloudpickle"): "the same",
    ("tunewright.executors.functions.worker_streams", "ctypes"): "missing from some builds of Python",
    ("tunewright.objects.choose", "tunewright.objects.remote"): "a directory needs no botocore, a fork server neither",
    ("tunewright.search.advisor", "tunewright.search.bayesian.strategy"): "Random and Grid need no scipy",
    ("tunewright.search.advisor", "tunewright.search.bayesian.brackets"): "Random and Grid need no scipy",
    ("tunewright.search.asktell", "tunewright.search.importance"): "Random and Grid need no scipy",
    ("tunewright.sdk.analytics", "pandas"): "imported when a table is asked for",
    ("tunewright.sdk.session", "tunewright.sdk.clients"): "a tuner is built before botocore and the assembly",
    ("tunewright.store.database", "alembic"): "a store that is up to date needs no migration",
    ("tunewright.store.database", "alembic.config"): "a store that is up to date needs no migration",
    ("tunewright.store.database", "alembic.script"): "a store that is up to date needs no migration",
    ("tunewright.store.database", "alembic.util"): "a store that is up to date needs no migration",
    ("tunewright.cli", "tunewright.cli.app"): "`tunewright --version` answers without building the command tree",
    ("tunewright.cli.commands.files", "tunewright.cli.commands.do_files"): "help comes before jsonschema and botocore",
    ("tunewright.cli.commands.jobs", "tunewright.cli.commands.do_jobs"): "help comes before the assembly of all rooms",
    ("tunewright.cli.commands.look", "tunewright.cli.commands.do_look"): "help comes before the assembly of all rooms",
    ("tunewright.cli.commands.serve", "tunewright.cli.commands.do_serve"): "help comes before all rooms",
    ("tunewright.cli.commands.tools", "tunewright.cli.commands.do_tools"): "help comes before all rooms",
    ("tunewright.cli.engine", "tunewright.search.importance"): "looking at jobs needs no numpy",
    ("tunewright.sdk.inherited", "tunewright.search.parents"): "looking at jobs needs no numpy",
    ("tunewright.cli.supposing", "tunewright.search.advisor"): "looking at jobs needs no numpy",
}
"""(module, what it imports inside a function) -> why. Start-up time and optional extras are the only reasons."""

EXTRAS = {"ray", "psycopg", "xgboost", "plotly", "IPython", "boto3", "sagemaker"}
"""Optional dependencies: a module that needs one may be missing it, and is imported when it is asked for."""

MAX_FILE, MAX_FUNCTION = 500, 60


@dataclass(frozen=True, slots=True)
class Import:
    target: str
    line: int
    deferred: bool


@dataclass(frozen=True, slots=True)
class Module:
    name: str
    path: Path
    tree: ast.Module

    @property
    def room(self) -> str:
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else "__init__"

    @property
    def place(self) -> str:
        return str(self.path.relative_to(ROOT))


@cache
def modules() -> dict[str, Module]:
    found = {}
    for path in sorted((SOURCE / OURS).rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8"), str(path)))
    return found


@cache
def imports(module: Module) -> list[Import]:
    """Every import of a module, those inside functions too, but not those for type checking alone."""
    return list(_imports(module, module.tree, deferred=False))


def _imports(module: Module, node: ast.AST, *, deferred: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _imports(module, other, deferred=deferred)
        elif isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, deferred) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (Import(target, child.lineno, deferred) for target in _targets(module, child))
        else:
            inside = deferred or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(module, child, deferred=inside)


def _targets(module: Module, node: ast.ImportFrom) -> list[str]:
    base = node.module or ""
    if node.level:
        package = module.name.split(".") if module.path.name == "__init__.py" else module.name.split(".")[:-1]
        above = package[: len(package) - node.level + 1]
        base = ".".join([*above, base] if base else above)
    named = [f"{base}.{alias.name}" for alias in node.names]
    return [name if name in modules() else base for name in named]


def ours(found: Import) -> bool:
    return found.target == OURS or found.target.startswith(OURS + ".")


def every(kind: str) -> Iterator[Path]:
    for folder in kind.split():
        yield from sorted((ROOT / folder).rglob("*.py"))


# ---- who may import whom ----


def test_imports_point_inward() -> None:
    wrong = []
    for module in modules().values():
        for found in filter(ours, imports(module)):
            room = found.target.split(".")[1] if "." in found.target else "__init__"
            if room != module.room and room not in MAY_IMPORT[module.room]:
                wrong.append(f"{module.place}:{found.line}: {module.room} must not import {found.target}")
    assert not wrong, "\n".join(wrong)


def test_parts_of_a_room_form_no_circle() -> None:
    """Packages within a room build upon one another; what lies in the room itself is for all of them."""
    needs: dict[str, set[str]] = {}
    for module in modules().values():
        here = _part(module.name)
        for found in imports(module):
            there = _part(found.target)
            if here and there and here != there and here.split(".")[0] == there.split(".")[0]:
                needs.setdefault(here, set()).add(there)
    for part in needs:
        reached, more = set[str](), set(needs[part])
        while more:
            reached |= more
            more = set().union(*(needs.get(one, set()) for one in more)) - reached
        assert part not in reached, f"{part} needs {sorted(needs[part])}, which need it"


def _part(name: str) -> str | None:
    """`room.package` of a module that lies in a package of its room."""
    parts = name.split(".")
    inside = len(parts) > 2 and (SOURCE / OURS / parts[1] / parts[2]).is_dir()
    return ".".join(parts[1:3]) if parts[0] == OURS and inside else None


def test_the_heart_and_the_script_import_the_standard_library_only() -> None:
    wrong = []
    for module in modules().values():
        if module.room in ("core", "script"):
            for found in imports(module):
                if not ours(found) and found.target.split(".")[0] not in sys.stdlib_module_names:
                    wrong.append(f"{module.place}:{found.line}: imports {found.target}")
    assert not wrong, "\n".join(wrong)


def test_the_heart_does_nothing_but_think() -> None:
    """No module of I/O, time, randomness or processes in core."""
    banned = {"os", "io", "time", "random", "secrets", "subprocess", "socket", "threading", "asyncio", "logging", "sys"}
    wrong = []
    for module in modules().values():
        if module.room == "core":
            for found in imports(module):
                if found.target.split(".")[0] in banned:
                    wrong.append(f"{module.place}:{found.line}: imports {found.target}")
    assert not wrong, "\n".join(wrong)


def test_numbers_live_in_search_and_plots() -> None:
    wrong = []
    for module in modules().values():
        if module.room not in NUMBERS_LIVE_IN:
            for found in imports(module):
                if found.target.split(".")[0] in NUMBERS:
                    wrong.append(f"{module.place}:{found.line}: imports {found.target}")
    assert not wrong, "\n".join(wrong)


def test_there_are_no_circles() -> None:
    """Deferred imports count: a circle hidden in a function body is a circle."""
    graph = {name: {i.target for i in imports(m) if ours(i)} - {name} for name, m in modules().items()}
    circles = circles_in(graph)
    assert not circles, "\n".join(" -> ".join(circle) for circle in circles)


def circles_in(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """One path per back edge of a depth-first walk."""
    found: list[list[str]] = []
    state: dict[str, int] = {}

    def visit(name: str, path: list[str]) -> None:
        state[name] = 1
        for target in sorted(graph.get(name, ())):
            if state.get(target) == 1:
                found.append([*path[path.index(target) :], target])
            elif target not in state:
                visit(target, [*path, target])
        state[name] = 2

    for name in sorted(graph):
        if name not in state:
            visit(name, [name])
    return found


def test_circles_would_be_found() -> None:
    assert circles_in({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == [["a", "b", "c", "a"]]
    assert circles_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_deferred_imports_have_a_reason() -> None:
    wrong = []
    used = set()
    for module in modules().values():
        for found in imports(module):
            if not found.deferred or found.target.split(".")[0] in EXTRAS:
                continue
            keys = {(module.name, found.target), (module.name, found.target.split(".")[0])} & set(DEFERRED)
            used |= keys
            if not keys:
                wrong.append(f"{module.place}:{found.line}: {found.target} is imported inside a function")
    wrong += [f"DEFERRED lists {key}, which is not there any more" for key in set(DEFERRED) - used]
    assert not wrong, "\n".join(wrong)


# ---- how things are written ----


def test_files_are_short() -> None:
    wrong = []
    for path in every("src tests benchmarks examples"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_FILE:
            wrong.append(f"{path.relative_to(ROOT)}: {lines} lines, the limit is {MAX_FILE}")
    assert not wrong, "\n".join(wrong)


def test_functions_are_short() -> None:
    wrong = []
    for path in every("src tests benchmarks examples"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and length(node) > MAX_FUNCTION:
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                wrong.append(f"{place}: {node.name} has {length(node)} lines, the limit is {MAX_FUNCTION}")
    assert not wrong, "\n".join(wrong)


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from `def` to its end, without its docstring."""
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - docstring


def test_modules_say_what_they_are() -> None:
    wrong = [module.place for module in modules().values() if not ast.get_docstring(module.tree)]
    assert not wrong, "no docstring: " + ", ".join(wrong)


def test_time_has_few_owners() -> None:
    """Deciding by the wall clock, or sleeping, is for the modules that own a clock."""
    wrong = []
    used = set()
    for module in modules().values():
        for line, call in clock_calls(module.tree):
            used.add(module.name)
            if module.name not in OWNS_A_CLOCK:
                wrong.append(f"{module.place}:{line}: {call}")
    wrong += [f"OWNS_A_CLOCK lists {name}, which reads no clock" for name in set(OWNS_A_CLOCK) - used]
    assert not wrong, "\n".join(wrong)


def clock_calls(tree: ast.Module) -> list[tuple[int, str]]:
    banned = {"time.time", "time.time_ns", "time.sleep", "datetime.now", "datetime.utcnow", "datetime.today"}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ".".join(ast.unparse(node).split(".")[-2:]) in banned:
            found.append((node.lineno, ast.unparse(node)))
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            names = {f"time.{alias.name}" for alias in node.names} & banned
            found += [(node.lineno, name) for name in sorted(names)]
    return found


def test_clock_calls_would_be_found() -> None:
    code = (
        "import time, datetime\nfrom time import sleep\ntime.time()\ndatetime.datetime.now(tz=None)\ntime.monotonic()"
    )
    assert [call for _, call in clock_calls(ast.parse(code))] == ["time.sleep", "time.time", "datetime.datetime.now"]


# ---- importing does nothing ----

PROBE = """
import importlib, json, logging, os, signal, sys, threading, warnings
names, extras = json.loads(sys.argv[1])

def world():
    files = sorted(os.path.join(folder, name) for folder, _, some in os.walk(".") for name in some)
    handlers = {number: str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)}
    root = logging.getLogger()
    return {"files": files, "handlers": [str(h) for h in root.handlers], "level": root.level, "signals": handlers,
            "environment": dict(os.environ), "threads": threading.active_count(), "directory": os.getcwd()}

before = world()
wrong = []
for name in names:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in extras:
            wrong.append(f"{name}: {error}")
        continue
    after = world()
    wrong += [f"{name} changed {key}: {before[key]} -> {after[key]}" for key in before if before[key] != after[key]]
    before = after
json.dump(wrong, sys.stderr)
"""


def clean_process(code: str, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    home = {"HOME": str(directory), "TUNEWRIGHT_HOME": str(directory / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TUNEWRIGHT_")}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=directory, env={**kept, **home}, capture_output=True, text=True, check=False)


def test_importing_a_module_does_nothing(tmp_path: Path) -> None:
    names = [name for name in modules() if not name.endswith("__main__")]
    done = clean_process(PROBE, tmp_path, json.dumps([names, sorted(EXTRAS)]))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "", f"importing printed {done.stdout!r}"
    wrong = json.loads(done.stderr)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("heavy", ["numpy", "scipy", "pandas", "botocore", "sqlalchemy", "yaml", "rich"])
def test_importing_tunewright_is_cheap(heavy: str, tmp_path: Path) -> None:
    done = clean_process(f"import sys, tunewright; print({heavy!r} in sys.modules)", tmp_path)
    assert done.stdout.strip() == "False", f"import tunewright loads {heavy}; {done.stderr}"


def test_reporting_from_a_script_is_cheap(tmp_path: Path) -> None:
    """A training program that only reports pays for nothing else."""
    code = "import sys\nfrom tunewright import report\nprint(sorted({'numpy', 'botocore'} & set(sys.modules)))"
    done = clean_process(code, tmp_path)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
