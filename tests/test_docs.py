"""What the pages say is true: code runs, commands exist, settings and decisions are listed, links lead somewhere.

In a page, Python blocks are run together as one program; a block after `<!-- file: NAME -->` is written to that
file; a shell block after `<!-- tested -->` is run line by line.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
import typer

from tunewright.cli.app import app
from tunewright.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parent.parent
QUICKSTART = ROOT / "docs" / "quickstart.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TOLD_TO_PROGRAMS = {"TUNEWRIGHT_METRICS_FILE", "TUNEWRIGHT_CHECKPOINT_DIR", "TUNEWRIGHT_REPLICATE"}

BLOCK = re.compile(
    r"(?:<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    mark: str
    language: str
    code: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [Block(m["mark"] or "", m["language"], m["code"]) for m in BLOCK.finditer(text)]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def pages_with(kind: str) -> list[Path]:
    """Pages that hold something to run."""
    wanted = {"python": lambda b: b.language == "python" and not b.mark, "sh": lambda b: b.mark == "tested"}[kind]
    return [page for page in PAGES if any(map(wanted, blocks(page)))]


def place(directory: Path) -> dict[str, str]:
    """An environment in which nothing of the user's is touched."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    home = directory / "home"
    return {**kept, "TUNEWRIGHT_HOME": str(home), "HOME": str(directory), "OMP_NUM_THREADS": "1"}


def run(command: list[str], directory: Path) -> str:
    done = subprocess.run(
        command, cwd=directory, env=place(directory), capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def write_files(page: Path, directory: Path) -> None:
    for block in blocks(page):
        if block.mark.startswith("file: "):
            (directory / block.mark.removeprefix("file: ")).write_text(block.code, encoding="utf-8")


# ---- code ----


@pytest.mark.parametrize("page", [page for page in pages_with("python") if page != QUICKSTART], ids=name_of)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    code = "\n".join(block.code for block in blocks(page) if block.language == "python" and not block.mark)
    (tmp_path / "page.py").write_text(code, encoding="utf-8")
    run([sys.executable, "page.py"], tmp_path)


@pytest.mark.parametrize("page", pages_with("sh"), ids=name_of)
def test_shell_blocks_run(page: Path, tmp_path: Path) -> None:
    write_files(page, tmp_path)
    for line in (line for block in blocks(page) if block.mark == "tested" for line in block.code.splitlines()):
        program, *arguments = shlex.split(line, comments=True)
        assert program == "tunewright", f"a tested line runs tunewright: {line}"
        said = run([sys.executable, "-m", "tunewright", *arguments], tmp_path)
        assert said or "--output" in arguments, f"{line} printed nothing"


def test_the_quickstart_runs_and_finds_what_it_says(tmp_path: Path) -> None:
    """The values beside the function's example are those that it finds."""
    code = "\n".join(block.code for block in blocks(QUICKSTART) if block.language == "python" and not block.mark)
    (tmp_path / "page.py").write_text(f"{code}\nprint('found', tuner.best_params())", encoding="utf-8")
    found = run([sys.executable, "page.py"], tmp_path)
    assert "'layers': 3, 'optimizer': 'adam'" in found[found.index("found") :]


def test_the_settings_file_on_its_page_is_one(tmp_path: Path) -> None:
    write_files(ROOT / "docs" / "settings.md", tmp_path)
    settings = Settings.load({}, tmp_path)
    assert (settings.slots, settings.stop_grace_seconds) == ("cpu=8,gpu=2", 10.0)


def test_blocks_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n\n<!-- tested -->\n```sh\ntunewright list\n```\n\n```python\nx = 1\n\ny = 2\n```\n")
    assert blocks(page) == [Block("tested", "sh", "tunewright list\n"), Block("", "python", "x = 1\n\ny = 2\n")]
    assert len(pages_with("python")) >= 3 and len(pages_with("sh")) >= 1


# ---- settings and commands ----


@pytest.mark.parametrize("field", [field.name for field in fields(Settings)])
def test_every_setting_has_its_row(field: str) -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert f"| `{field}` | `{PREFIX}{field.upper()}` | " in page


def commands() -> dict[str, list[str]]:
    """Every command with its long options."""
    group = typer.main.get_command(app)
    found = {}
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        options = [option for p in command.params for option in [*p.opts, *p.secondary_opts] if option.startswith("--")]
        found[name] = options
    return found


@pytest.mark.parametrize("command", commands())
def test_every_command_has_its_row_and_its_options(command: str) -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    [row] = [line for line in page.splitlines() if re.match(rf"\| `tunewright {command}[ `]", line)]
    missing = [option for option in commands()[command] if option not in ("--json", "--help") and option not in row]
    assert not missing


def test_the_pages_name_no_command_that_is_not_there() -> None:
    wrong = []
    for page in PAGES:
        for name in re.findall(r"(?:`|^)tunewright ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), re.MULTILINE):
            if name not in commands():
                wrong.append(f"{name_of(page)}: tunewright {name}")
    assert not wrong, "\n".join(wrong)


def test_messages_name_no_command_that_is_not_there() -> None:
    """What the program tells its user to type exists."""
    wrong = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        for name in re.findall(r"(?:[`|:] ?)tunewright ([a-z][a-z-]+) \{", path.read_text(encoding="utf-8")):
            if name not in commands():
                wrong.append(f"{path.relative_to(ROOT)}: tunewright {name}")
    assert not wrong, "\n".join(wrong)


def test_the_pages_name_no_setting_that_is_not_there() -> None:
    known = {PREFIX + field.name.upper() for field in fields(Settings)} | TOLD_TO_PROGRAMS
    wrong = []
    for page in PAGES:
        for name in re.findall(r"TUNEWRIGHT_[A-Z_]+", page.read_text(encoding="utf-8")):
            if name not in known:
                wrong.append(f"{name_of(page)}: {name}")
    assert not wrong, "\n".join(wrong)


# ---- links, decisions, drawings ----


def links(page: Path) -> Iterator[str]:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    return (link for link in LINK.findall(text) if not re.match(r"[a-z]+:", link))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as its readers make them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_local_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert not wrong


def test_every_page_can_be_reached() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "README.md", ROOT / "docs" / "index.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        todo += [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
    lost = [name_of(page) for page in PAGES if page not in seen]
    assert not lost, f"no page links to {lost}"


def test_decisions_have_numbers_of_their_own() -> None:
    numbers = [page.name[:4] for page in (ROOT / "docs" / "adr").glob("[0-9]*.md")]
    assert len(numbers) == len(set(numbers))


def test_the_states_are_drawn_from_the_machine() -> None:
    source = ROOT / "docs" / "draw_states.py"
    found = importlib.util.spec_from_file_location("draw_states", source)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    page = (ROOT / "docs" / "states.md").read_text(encoding="utf-8")
    assert page == module.draw(), "run: python docs/draw_states.py"


def test_the_pages_are_plain() -> None:
    """Lines end without blanks and files with one line end, so that changes show what changed."""
    wrong = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if re.search(r"[ \t]$", text, re.MULTILINE) or not text.endswith("\n") or text.endswith("\n\n"):
            wrong.append(name_of(page))
    assert not wrong
