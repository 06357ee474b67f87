"""requirements.txt: left alone, or installed into a directory that only its training jobs see."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tunewright.core.trial import Failure
from tunewright.executors.contract import requirements

from .bench import Bench

WHEEL = "tinything-1.0-py3-none-any.whl"
TEXT = "import os, tinything\nprint(tinything.WORD, os.path.dirname(tinything.__file__))\n"


def wheel(folder: Path) -> Path:
    """A distribution of one module."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        archive.writestr("tinything.py", "WORD = 'tiny'\n")
        info = "tinything-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinything\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return folder / WHEEL


@pytest.fixture
def installing(make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel(tmp_path / "links").parent))
    return make_bench(requirements="install")


def needs(bench: Bench, name: str, text: str) -> None:
    bench.source(name, text, "requirements.txt")


def test_one_directory_serves_all_with_the_same_text(installing: Bench) -> None:
    for name in ("one", "two"):
        needs(installing, name, "tinything==1.0  # the only one\n")
        report = installing.run(installing.task(name, TEXT))
        assert (report.exit_code, report.reason) == (0, "")
        assert installing.stdout(name).startswith("tiny ")
    [made] = [entry for entry in os.listdir(installing.home / "packages") if not entry.endswith(".lock")]
    assert {installing.stdout(name).split(" ", 1)[1].strip() for name in ("one", "two")} == {
        str(installing.home / "packages" / made)
    }
    plain = installing.run(installing.task("plain", TEXT))
    assert plain.failure is Failure.ALGORITHM, "a job that requires nothing sees nothing of it"


def test_what_stands_on_files_of_the_source_is_the_jobs_own(installing: Bench) -> None:
    needs(installing, "own", f"./{WHEEL}\n")
    wheel(installing.root / "source dirs" / "own")
    assert installing.run(installing.task("own", TEXT)).exit_code == 0
    assert installing.stdout("own") == f"tiny {installing.job('own')}/packages\n"


def test_a_requirement_that_cannot_be_met(installing: Bench) -> None:
    needs(installing, "never", "no-such-thing-at-all==3\n")
    report = installing.run(installing.task("never", TEXT))
    assert report.failure is Failure.CLIENT
    assert "requirements.txt could not be installed" in report.reason and "no-such-thing-at-all" in report.reason
    assert sys.executable in report.reason


def test_a_missing_module_explains_itself(bench: Bench) -> None:
    needs(bench, "ignored", "tinything\n")
    report = bench.run(bench.task("ignored", TEXT))
    assert report.failure is Failure.ALGORITHM
    assert "No module named 'tinything'" in report.reason and "requirements=install" in report.reason


@pytest.mark.parametrize(
    ("text", "shared"),
    [
        ("numpy==1.26\n\n# a comment\nscipy >=1 ; python_version > '3'\n", True),
        ("--index-url https://example.org/simple\nnumpy\n", True),
        ("thing @ https://example.org/thing.whl#sha256=1\n", True),
        ("thing @ file:///tmp/thing.whl\n", False),
        ("-r more.txt\n", False),
        ("-e .\n", False),
        ("./thing-1.0-py3-none-any.whl\n", False),
        ("wheels/thing\n", False),
        ("thing-1.0-py3-none-any.whl\n", False),
    ],
)
def test_what_may_be_shared(text: str, shared: bool) -> None:
    assert requirements._shared(text.encode()) is shared


# ---- entry points ----


@pytest.mark.parametrize(
    ("program", "file", "text"),
    [
        ("package.train", "package/train.py", "import sys\nprint(__name__, __spec__.name, sys.argv[1:])\n"),
        ("package", "package/__main__.py", "import sys\nprint(__name__, __spec__.name, sys.argv[1:])\n"),
        ('"train.py"', "train.py", "import sys\nprint(__name__, sys.argv[0], sys.argv[1:])\n"),
        ("run.sh", "run.sh", 'echo "sh $0 $*"\n'),
        ("bin/run", "bin/run", '#!/bin/sh\necho "own $*"\n'),
    ],
)
def test_what_a_program_may_be(bench: Bench, program: str, file: str, text: str) -> None:
    folder = bench.source("entry", "pass")
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(text, encoding="utf-8")
    if program == "bin/run":
        (folder / file).chmod(0o755)
    task = bench.task(
        "entry", text if file == "train.py" else "pass", values={"sagemaker_program": program, "lr": "0.1"}
    )
    report = bench.run(task)
    assert (report.exit_code, report.reason) == (0, "")
    said = bench.stdout("entry")
    expected = {
        "package.train": "__main__ package.train ['--lr', '0.1']\n",
        "package": "__main__ package.__main__ ['--lr', '0.1']\n",
        '"train.py"': "__main__ train.py ['--lr', '0.1']\n",
        "run.sh": "sh run.sh --lr 0.1\n",
        "bin/run": "own --lr 0.1\n",
    }
    assert said == expected[program]


def test_a_module_that_is_not_there(bench: Bench) -> None:
    report = bench.run(bench.task("none", "", values={"sagemaker_program": "package.train"}))
    assert report.failure is Failure.CLIENT and "There is no script 'package.train'" in report.reason
