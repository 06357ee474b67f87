"""The wheel: what is in it, that it declares what it imports, and that it works away from the repository."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
QUICKSTART = ROOT / "docs" / "quickstart.md"
NOT_DECLARED_ELSEWHERE = {"ray", "psycopg", "xgboost", "plotly", "IPython"}
"""Extras that may be missing: imported when asked for."""


def run(command: list[str], directory: Path, timeout: float = 280) -> str:
    """Run a command outside the repository, with nothing of the user's or of pytest's in its way."""
    dropped = ("TUNEWRIGHT_", "PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    environment = {**kept, "TUNEWRIGHT_HOME": str(directory / "home")}
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(ROOT)]
    run(command, target)
    [built] = target.glob("*.whl")
    return built


def quickstart() -> str:
    """The Python blocks of the quickstart that stand for no file of their own."""
    text = QUICKSTART.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"(?<!-->\n)^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def venv(directory: Path) -> Path:
    """A fresh environment; its interpreter."""
    run([sys.executable, "-m", "venv", str(directory / "venv")], directory)
    return directory / "venv" / "bin" / "python"


def try_out(python: Path, directory: Path) -> None:
    """The program answers, the quickstart runs, and it is the installed one that does it."""
    where = run([str(python), "-c", "import tunewright; print(tunewright.__file__)"], directory)
    assert where.startswith(str(directory / "venv"))
    assert "0.1" in run([str(python.with_name("tunewright")), "--version"], directory)
    (directory / "page.py").write_text(quickstart(), encoding="utf-8")
    said = run([str(python), "page.py"], directory)
    assert "'optimizer': 'adam'" in said


def test_the_wheel_holds_what_it_needs_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    source = ROOT / "src"
    wanted = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert wanted <= names
    extra = [name for name in names - wanted if ".dist-info/" not in name]
    assert not extra
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "tunewright/py.typed" in names


def test_every_import_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[\[<>=!~ ]", line)[0].lower().replace("_", "-") for line in project["dependencies"]}
    homes = packages_distributions()
    wrong = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        allowed = declared | {"tunewright"} | ({"pytest"} if "testing" in path.parts else set())
        # The adapter for SDK v2 is imported only by those who have that SDK, which brings boto3.
        allowed |= {"boto3", "sagemaker"} if path.name == "sagemaker.py" else set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - NOT_DECLARED_ELSEWHERE:
                found = {home.lower().replace("_", "-") for home in homes.get(name, [name])}
                if not found & allowed:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {name}")
    assert not wrong, "\n".join(wrong)


def test_the_wheel_works_beside_its_dependencies(wheel: Path, tmp_path: Path) -> None:
    """Installed alone into a fresh environment that finds the dependencies, not the repository, by a path file."""
    python = venv(tmp_path)
    run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)], tmp_path)
    [site] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    try_out(python, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_brings_all_that_it_needs(wheel: Path, tmp_path: Path) -> None:
    """Installed with its dependencies, and nothing of the development environment, as a user would."""
    python = venv(tmp_path)
    constraints = ["-c", str(ROOT / "constraints.txt")]
    run([str(python), "-m", "pip", "install", "--quiet", *constraints, str(wheel)], tmp_path, timeout=600)
    try_out(python, tmp_path)
