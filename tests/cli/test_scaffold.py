"""init: what it reads off scripts of several kinds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from tunewright.cli.scripts.reading import read_script
from tunewright.cli.scripts.scaffold import tuning_file
from tunewright.control.metrics import try_pattern
from tunewright.core.errors import Invalid

CLICK = """\
import click
KINDS = ["gbtree", "dart"]
@click.command()
@click.option("--eta", "-e", type=float, default=0.3, show_default=True)
@click.option("--max-depth", "depth", default=6, type=click.IntRange(1, 8))
@click.option("--subsample", default=1.0, type=click.FloatRange(min=0.05, max=1.0))
@click.option("--layers", type=click.IntRange(1, max=4), required=True)
@click.option("--booster", type=click.Choice(KINDS), default="gbtree")
@click.option("--rounds", default=30)
@click.option("--C", type=click.FLOAT, default=1.0)
@click.option("--gpu/--no-gpu", default=False)
@click.option("--quiet", is_flag=True)
@click.option("--tag")
@click.argument("data")
def main(**options):
    click.echo("valid auc: {:.4f} at {}".format(1, 2))
"""
TYPER = """\
from enum import Enum
from typing import Annotated, Optional
import typer
class Kind(str, Enum):
    gbdt = "gbdt"
    dart = "dart"
app = typer.Typer()
@app.command()
def train(
    ctx: typer.Context,
    data: str,
    learning_rate: Annotated[float, typer.Option(help="lr", min=0.05, max=1.0)] = 0.1,
    num_leaves: int = 31,
    kind: Kind = Kind.gbdt,
    rounds: int = typer.Option(20, "--n", "-r"),
    size: float = typer.Option(...),
    extra: Optional[str] = None,
    fast: bool = False,
):
    logger.info("step %d loss: %.4f (%s)", 1, 2.0, 3)
"""


def read(tmp_path: Path, text: str) -> dict[str, Any]:
    """The tuning file that `init` writes for a script, and its remarks."""
    (tmp_path / "t.py").write_text(text)
    made = tuning_file(read_script(tmp_path / "t.py"), "t.py", "t")
    data: dict[str, Any] = yaml.safe_load(made)
    return {**data, "remarks": [line.strip(" #") for line in made.splitlines() if line.startswith("  #")]}


def test_init_reads_the_options_of_click(tmp_path: Path) -> None:
    made = read(tmp_path, CLICK)
    assert made["parameters"] == {
        "eta": {"type": "continuous", "min": 0.03, "max": 3.0, "scaling": "Logarithmic"},
        "max-depth": {"type": "integer", "min": 3, "max": 8},
        "subsample": {"type": "continuous", "min": 0.05, "max": 1.0},
        "layers": {"type": "integer", "min": 1, "max": 4},
        "booster": {"type": "categorical", "values": ["gbtree", "dart"]},
    }
    assert made["training"]["hyperparameters"] == {"rounds": 30} and made["objective"]["metric"] == "auc"
    says = " ".join(made["remarks"])
    assert "--gpu takes no value" in says and "--quiet takes no value" in says and "--C cannot be given" in says
    assert "data is a positional argument" in says and "--tag has no default" in says


def test_init_reads_the_parameters_of_typer(tmp_path: Path) -> None:
    made = read(tmp_path, TYPER)
    assert made["parameters"] == {
        "learning-rate": {"type": "continuous", "min": 0.05, "max": 1.0, "scaling": "Logarithmic"},
        "num-leaves": {"type": "integer", "min": 15, "max": 62},
        "kind": {"type": "categorical", "values": ["gbdt", "dart"]},
        "r": {"type": "integer", "min": 10, "max": 40},
    }
    assert made["training"]["hyperparameters"] == {"size": None} and made["objective"]["metric"] == "loss"
    says = " ".join(made["remarks"])
    assert "data is a positional argument" in says and "--fast takes no value" in says and "ctx" not in says


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import click\n@click.group()\ndef main(): pass\n", "command is a positional argument"),
        ("import click\n@click.group\ndef main(): pass\n", "command is a positional argument"),
        (TYPER + "@app.command()\ndef other(): pass\n", "command is a positional argument"),
        (TYPER + "@app.callback()\ndef other(): pass\n", "command is a positional argument"),
        ("import hydra\n@hydra.main(config_path='conf')\ndef main(cfg): pass\n", "Hydra's key=value cannot be given"),
        (
            "import os\nos.environ['LR'], os.getenv('B', 1), os.environ.get('SM_X')",
            "from the environment (LR, B) cannot",
        ),
    ],
)
def test_init_says_what_cannot_be_given_as_options(tmp_path: Path, text: str, says: str) -> None:
    made = read(tmp_path, text)
    assert says in " ".join(made["remarks"]) and list(made["parameters"]) == ["learning_rate"]


ARGPARSE = """\
import argparse, os
p = argparse.ArgumentParser()
p.add_argument("-v", "--verbose", action="count", default=0)
p.add_argument("--lr", action="store", type=float, default=0.1)
p.add_argument("--kind", choices=["a", "a", "b"])
p.add_argument("--prompt", default="it's \\"one\\"\\nline\\tor two")
p.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
p.add_argument("--data", default=os.environ["SM_CHANNEL_TRAIN"])
"""


def test_init_writes_each_field_and_value_once_and_as_it_is(tmp_path: Path) -> None:
    made = read(tmp_path, ARGPARSE)
    assert made["parameters"]["kind"] == {"type": "categorical", "values": ["a", "b"]} and "lr" in made["parameters"]
    assert made["training"]["hyperparameters"] == {"prompt": 'it\'s "one"\nline\tor two'}
    text = tuning_file(read_script(tmp_path / "t.py"), "t.py", "t")
    assert text.count("    train: ./data/train") == 1
    assert "--verbose takes no value" in " ".join(made["remarks"])


COMMANDS = """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--decay", type=float, default=0.1)
commands = parser.add_subparsers(dest="action")
train = commands.add_parser("train")
train.add_argument("--lr", type=float, default=0.1)
"""


def test_init_knows_that_commands_of_argparse_cannot_be_given(tmp_path: Path) -> None:
    made = read(tmp_path, COMMANDS)
    assert list(made["parameters"]) == ["decay"] and "hyperparameters" not in made["training"]
    assert made["remarks"][-1].startswith("action is a positional argument")
    assert "command is a positional" in read(tmp_path, COMMANDS.replace('dest="action"', ""))["remarks"][-1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (f"type=int, default={2**53 + 1}", 2**53 + 1),
        ("type=int, default=" + "9" * 400, "9" * 400),
        ("type=float, default=" + "9" * 400, "9" * 400),
        ("type=float, default=1e308", 1e308),
        ("type=int, default='auto'", "auto"),
        ("default=1e400", None),
        ("type=float, default=-1e400", None),
        ("type=int, default=2**60", None),
    ],
)
def test_a_default_that_no_range_can_be_made_around_stays_as_it_is(
    tmp_path: Path, options: str, expected: object
) -> None:
    made = read(tmp_path, f'import argparse\np = argparse.ArgumentParser()\np.add_argument("--size", {options})\n')
    assert list(made["parameters"]) == ["learning_rate"]
    given = made["training"].get("hyperparameters", {}).get("size")
    assert str(given) == str(expected) and (given is None) == ("--size" in " ".join(made["remarks"]))


def test_what_stays_fixed_and_choices_keep_all_their_digits(tmp_path: Path) -> None:
    text = 'p.add_argument("--log-every", default=0.123456789)\np.add_argument("--lr", choices=[0.123456789, 1e-05])\n'
    made = read(tmp_path, text)
    assert made["training"]["hyperparameters"] == {"log-every": 0.123456789}
    assert made["parameters"]["lr"]["values"] == [0.123456789, 1e-05]


def test_init_knows_which_options_of_click_take_a_value(tmp_path: Path) -> None:
    options = '("-v", "--verbose", count=True, default=0)', '("--shuffle", default=True)', '("--up", flag_value="u")'
    made = read(tmp_path, "".join(f"@click.option{each}\n" for each in options) + "def main(**options): pass\n")
    assert made["training"]["hyperparameters"] == {"shuffle": True}
    says = " ".join(made["remarks"])
    assert "--verbose takes no value" in says and "--up takes no value" in says and "--shuffle" not in says


def test_the_patterns_of_init_see_values_that_diverged(tmp_path: Path) -> None:
    pattern = read(tmp_path, 'print("loss: %.3f" % x)')["training"]["metrics"]["loss"]
    assert [found.value for _, found in try_pattern(pattern, b"loss: -1.5e-3\nloss: -inf\n")] == [-0.0015, -math.inf]
    assert try_pattern(pattern, b"loss: nan")[0][1].captured == "nan"


def test_a_notebook_is_not_read_as_a_script(tmp_path: Path) -> None:
    path = tmp_path / "t.ipynb"
    path.write_text('{"cells": []}')
    with pytest.raises(Invalid, match="is a notebook: make a script of it"):
        read_script(path)


@pytest.mark.parametrize("options", ["type=bool, default=False", "default=True", "type=bool"])
def test_an_option_of_which_every_text_is_true_is_left_out(tmp_path: Path, options: str) -> None:
    path = tmp_path / "train.py"
    path.write_text(f"import argparse\nargparse.ArgumentParser().add_argument('--nesterov', {options})\n")
    text = tuning_file(read_script(path), "train.py", "train")
    assert "nesterov:" not in text
    assert "--nesterov is left out: argparse takes every text for true there, 'False' too." in text


def test_metrics_that_are_reported_in_a_table_are_found(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text('from tunewright import report\nreport({"loss": 1.0, "size": 2}, step=1)\n')
    assert list(read_script(path).reported) == ["loss", "size"]
