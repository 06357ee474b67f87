"""Help, version, usage errors; and documents that say what the command tree says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import Result

from tunewright.cli.app import COMMANDS, app, run
from tunewright.cli.tunefile.schema_check import schema

from .files import load

Run = Callable[..., Result]
DOCS = Path(__file__).parents[2] / "docs"
COMMAND = [sys.executable, "-m", "tunewright"]


def tree() -> dict[str, list[Any]]:
    """Command name to its parameters, as typer builds them."""
    group: Any = typer.main.get_command(app)
    return {name: list(command.params) for name, command in group.commands.items()}


def sections() -> dict[str, str]:
    """Command name to its section of docs/cli.md."""
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    parts = re.split(r"^## tunewright ([a-z-]+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def options(parameters: list[Any]) -> Iterator[str]:
    for parameter in parameters:
        if parameter.param_type_name == "option":
            yield from (*parameter.opts, *parameter.secondary_opts)


def test_the_document_has_every_command_and_no_other() -> None:
    assert list(sections()) == list(tree()) == list(COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_document_has_every_option_and_no_other(name: str) -> None:
    section = sections()[name]
    rows = "\n".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `-"))
    said = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rows))
    assert said == set(options(tree()[name])) - {"--help", "-h"}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_and_option_has_help_and_json(name: str, cli: Run) -> None:
    result = cli(name, "--help")
    assert result.exit_code == 0 and "Usage: tunewright" in result.stdout.replace("root", "tunewright")
    assert "--json" in result.stdout
    assert all(parameter.help for parameter in tree()[name] if parameter.param_type_name == "option")


def test_help_lists_every_command_with_its_whole_sentence(cli: Run) -> None:
    text = cli("--help").stdout
    for name in COMMANDS:
        [line] = [line for line in text.splitlines() if re.match(rf"  {name} ", line)]
        assert line.endswith("."), line


def test_help_and_version_load_nothing_heavy() -> None:
    code = (
        "import sys; from tunewright.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'typer', 'rich', 'numpy', 'scipy', 'botocore', 'sqlalchemy', 'yaml', 'jsonschema', 'pandas'}\n"
        "print('LOADED', *sorted(heavy & set(sys.modules)))"
    )
    for argument, loaded in (("--version", "LOADED"), ("--help", "LOADED typer")):
        done = subprocess.run([sys.executable, "-c", code, argument], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == loaded


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
def test_output_for_which_there_is_no_room_is_told_in_words(tmp_path: Path) -> None:
    around = {**os.environ, "TUNEWRIGHT_HOME": str(tmp_path)}
    for command in (["init", "--help"], ["list"], ["list", "--json"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [*COMMAND, *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=around
            )
        assert done.returncode == 2
        assert done.stderr == "Error: the output could not be written: No space left on device\n"


def test_version() -> None:
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"tunewright \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("arguments", [["--version"], ["list", "--help"], ["--help"]])
def test_zero_for_what_succeeds(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["dance"], ["run"], ["best"], ["list", "--limit", "0"], ["list", "--status", "Sleeping"], ["jobs", "x", "--nope"]],
)
def test_two_for_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err


def test_the_example_of_the_tuning_file_document_is_valid(tmp_path: Path) -> None:
    text = (DOCS / "tuning-file.md").read_text(encoding="utf-8")
    found = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    (tmp_path / "train.py").write_text("")
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "train" / "x").write_text("")
    (tmp_path / "digits.yaml").write_text(found[1])
    assert load(tmp_path / "digits.yaml", strict=True, now=0).name == "digits"


def test_the_tuning_file_document_has_every_field() -> None:
    text = (DOCS / "tuning-file.md").read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    described = {word for quoted in re.findall(r"`([^`]+)`", prose) for word in re.findall(r"[a-z_]+", quoted)}
    document: Any = schema()
    fields = {name for name in document["properties"] if name != "$schema"}
    for part in document["$defs"].values():
        fields |= set(part.get("properties", {}))
        fields |= {name for branch in part.get("allOf", []) for name in branch["then"]["properties"]}
    assert fields <= described
