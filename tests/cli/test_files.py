"""init and validate: files from scripts, files checked, nothing run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import Result

from tunewright.cli.scripts.reading import read_script
from tunewright.cli.scripts.scaffold import tuning_file
from tunewright.cli.tunefile.preflight import checked
from tunewright.core.errors import Invalid
from tunewright.settings import Settings

from .files import load

Run = Callable[..., Result]

SCRIPT = """\
import argparse, os
RATE = 0.01
parser = argparse.ArgumentParser()
group = parser.add_argument_group("training")
group.add_argument("--learning-rate", "-l", type=float, default=RATE)
group.add_argument("--layers", type=int, default=3)
group.add_argument("--dropout", type=float, default=0.1)
group.add_argument("--shift", type=float, default=0.0)
group.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--tag", default="it's")
parser.add_argument("--fast", action="store_true")
parser.add_argument("--unknown", type=complex)
parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
parser.add_argument("positional")
raise SystemExit("must never run")
for epoch in range(3):
    print(f"epoch {epoch} train_loss={x:.3f}; validation:accuracy: {y}")
    print("rmse =", z)
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "train" / "x").write_text("")
    path = tmp_path / "my train.py"
    path.write_text(SCRIPT)
    return path


def test_arguments_and_metrics_are_read_off_the_syntax(script: Path) -> None:
    found = read_script(script)
    assert {a.name: (a.kind, a.default) for a in found.arguments} == {
        "learning-rate": ("float", 0.01),
        "layers": ("int", 3),
        "dropout": ("float", 0.1),
        "shift": ("float", 0.0),
        "optimizer": ("str", "sgd"),
        "epochs": ("int", 10),
        "tag": ("str", "it's"),
        "fast": ("flag", None),
        "unknown": ("complex", None),
        "train": ("str", None),
        "model-dir": ("str", None),
        "positional": ("str", None),
    }
    assert list(found.printed) == ["train_loss", "validation:accuracy", "rmse"]


def test_reports_need_no_patterns(tmp_path: Path) -> None:
    path = tmp_path / "t.py"
    path.write_text("tunewright.report(step=1, loss=x)\nreport(**{'val:f1': y})\nprint(f'acc={z}')\n")
    found = read_script(path)
    assert found.reported == ("loss", "val:f1")
    text = tuning_file(found, "t.py", "t")
    assert "objective: {metric: 'val:f1', type: Maximize}" in text and "regular expressions" in text


def test_init_writes_a_file_that_is_valid(script: Path, cli: Run) -> None:
    result = cli("init", script.name)
    assert result.exit_code == 0, result.output
    target = Path("my train.yaml")
    made: dict[str, Any] = dict(load(target, strict=True, now=0).data)
    assert made["name"] == "my-train"
    assert made["objective"] == {"metric": "validation:accuracy", "type": "Maximize"}
    assert made["parameters"] == {
        "learning-rate": {"type": "continuous", "min": 0.001, "max": 0.1, "scaling": "Logarithmic"},
        "layers": {"type": "integer", "min": 1, "max": 6},
        "dropout": {"type": "continuous", "min": 0.0, "max": 0.9},
        "shift": {"type": "continuous", "min": 0.0, "max": 1.0},
        "optimizer": {"type": "categorical", "values": ["sgd", "adam"]},
    }
    assert made["training"]["hyperparameters"] == {"epochs": 10, "tag": "it's"}
    assert made["training"]["inputs"] == {"train": "./data/train"}
    for remark in ("--fast takes no value", "--unknown has no default", "positional is a positional argument"):
        assert f"  # {remark}" in target.read_text()
    assert cli("validate", str(target)).exit_code == 0


ARGUMENTS = """\
import argparse
import layers, json
from helpers.deep import f
parser = argparse.ArgumentParser()
parser.add_argument("--C", type=float, default=1.0)
parser.add_argument("--G", "-G", type=float, default=1.0)
parser.add_argument("-lr", type=float, default=1.0)
parser.add_argument("--depth", type=int, choices=range(3, 8), default=5)
parser.add_argument("--width", type=int, choices=range(8, 33, 8))
parser.add_argument("--seed", type=int, choices=range(1_000_000))
parser.add_argument("--batch-size", type=int, required=True)
parser.add_argument("--model", choices=["a", "b"], required=True)
print(f"loss={1} n={2}")
"""


def test_init_leaves_out_what_cannot_be_passed_and_asks_for_what_must_be(
    tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src" / "helpers").mkdir(parents=True)
    (tmp_path / "src" / "helpers" / "deep.py").write_text("")
    (tmp_path / "src" / "layers.py").write_text("")
    (tmp_path / "src" / "train.py").write_text(ARGUMENTS)
    assert cli("init", "src/train.py").exit_code == 0
    text = Path("train.yaml").read_text()
    assert "# --C cannot be given: training jobs are given it as -C. Let it be called '-C' too" in text
    assert "# -lr cannot be given: training jobs are given it as --lr." in text
    refused = cli("validate", "train.yaml")
    assert refused.exit_code == 2 and "batch-size: is empty" in refused.stderr
    Path("train.yaml").write_text(text.replace("batch-size:", "batch-size: 16"))
    made: dict[str, Any] = dict(load(Path("train.yaml"), strict=False, now=0).data)
    assert made["parameters"] == {
        "G": {"type": "continuous", "min": 0.1, "max": 10.0, "scaling": "Logarithmic"},
        "depth": {"type": "integer", "min": 3, "max": 7},
        "width": {"type": "categorical", "values": [8, 16, 24, 32]},
        "seed": {"type": "integer", "min": 0, "max": 999_999},
        "model": {"type": "categorical", "values": ["a", "b"]},
    }
    assert (made["training"]["entry_point"], made["training"]["source_dir"]) == ("train.py", "src")
    assert made["training"]["hyperparameters"] == {"batch-size": 16}
    assert made["objective"] == {"metric": "loss", "type": "Minimize"} and "a guess" not in text
    assert cli("init", "src/train.py", "-o", "src/here.yaml").exit_code == 0
    assert (
        "source_dir: .   # every training job gets a copy: the script imports layers, helpers"
        in (tmp_path / "src" / "here.yaml").read_text()
    )


@pytest.mark.parametrize(
    ("printed", "metric", "guess"),
    [
        ("loss n", "loss", False),
        ("n loss train_loss", "loss", False),
        ("val_n train_acc", "train_acc", False),
        ("valid_f1 f1 n", "valid_f1", False),
        ("val_loss val_acc", "val_acc", True),
        ("n", "n", True),
        ("capacity r2", "r2", False),
    ],
)
def test_the_objective_of_init_has_a_metrics_name(tmp_path: Path, printed: str, metric: str, guess: bool) -> None:
    path = tmp_path / "t.py"
    path.write_text("".join(f'print(f"{name}={{x}}")\n' for name in printed.split()))
    text = tuning_file(read_script(path), "t.py", "t")
    assert f"objective: {{metric: {metric}, type: " in text
    assert (f"# a guess, from: {', '.join(printed.split())}; name the one that counts" in text) == guess


def test_the_patterns_of_init_find_what_the_script_prints(script: Path, cli: Run, tmp_path: Path) -> None:
    cli("init", script.name, "-o", "t.yaml")
    patterns: Any = load(tmp_path / "t.yaml", strict=False, now=0).data["training"]
    log = "epoch 1 train_loss=0.250; validation:accuracy: 0.5\nrmse = 1e-3\n"
    found = {}
    for name, pattern in patterns["metrics"].items():
        found[name] = json.loads(cli("test-metric", pattern, "-", "--json", input=log).stdout)["Value"]
    assert found == {"train_loss": 0.25, "validation:accuracy": 0.5, "rmse": 0.001}


def test_init_writes_over_nothing_unless_told(script: Path, cli: Run, tmp_path: Path) -> None:
    assert cli("init", script.name).exit_code == 0
    refused = cli("init", script.name)
    assert refused.exit_code == 2 and "give --force" in refused.stderr
    assert cli("init", script.name, "--force").exit_code == 0
    assert "parameters:" in cli("init", script.name, "-o", "-").stdout
    assert json.loads(cli("init", script.name, "-o", "x.yaml", "--json").stdout)["File"] == "x.yaml"
    (tmp_path / "sub").mkdir()
    cli("init", script.name, "-o", "sub/y.yaml")
    assert f"entry_point: '{script}'" in (tmp_path / "sub" / "y.yaml").read_text()


def test_init_of_a_script_without_anything(tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bare.py").write_text("x = 1\n")
    result = cli("init", "bare.py")
    assert "No metric was found" in result.stderr and "Nothing to tune was found in the script" in result.stderr
    refused = cli("init", "bare.py", "-o", "bare.toml")
    assert refused.exit_code == 2 and "would be read as TOML, and is YAML; write it to bare.yaml" in refused.stderr
    assert load(Path("bare.yaml"), strict=True, now=0).name == "bare"


@pytest.mark.parametrize(("text", "says"), [("def f(:\n", "line 1: is not Python"), (None, "no such file")])
def test_init_of_what_is_no_script(tmp_path: Path, cli: Run, text: str | None, says: str) -> None:
    path = tmp_path / "t.py"
    if text is not None:
        path.write_text(text)
    result = cli("init", str(path), "-o", "-")
    assert result.exit_code == 2 and says in result.stderr


# ---- validate ----


@pytest.fixture
def file(tmp_path: Path, request_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNEWRIGHT_HOME", str(tmp_path / "untouched"))
    request_of()
    return tmp_path / "digits.yaml"


def test_validate_says_what_the_file_is(file: Path, cli: Run) -> None:
    result = cli("validate", str(file))
    assert result.exit_code == 0
    assert result.stdout == f"{file} is valid: digits, Bayesian over 2 parameters, 4 training jobs.\n"


def test_validate_prints_the_request_and_touches_nothing(file: Path, cli: Run, tmp_path: Path) -> None:
    request = json.loads(cli("validate", str(file), "--request").stdout)
    assert request["HyperParameterTuningJobName"] == "digits"
    assert json.loads(cli("validate", str(file), "--json").stdout) == {
        "Valid": True,
        "File": str(file),
        "Request": request,
    }
    named = json.loads(cli("validate", str(file), "--request", "--strict", "--name", "x").stdout)
    assert named["TrainingJobDefinition"]["OutputDataConfig"]["S3OutputPath"].startswith("s3://")
    assert not (tmp_path / "untouched").exists()


def test_validate_tells_every_problem(file: Path, cli: Run) -> None:
    file.write_text(file.read_text().replace("max_jobs: 4", "max_jbs: 4").replace("type: categorical", "type: cat"))
    result = cli("validate", str(file))
    assert result.exit_code == 2 and result.stdout == ""
    assert f"{file}: 2 problems:" in result.stderr and "Did you mean 'max_jobs'?" in result.stderr
    problems = json.loads(cli("validate", str(file), "--json").stdout)["Problems"]
    assert [problem["Where"].split(", ")[-1] for problem in problems] == ["max_jbs", "parameters.units.type"]


def test_validate_applies_the_services_rules(file: Path, cli: Run) -> None:
    text = file.read_text()
    file.write_text(text.replace("max_jobs: 4", "max_jobs: 4\nstrategy: Hyperband"))
    assert (
        "line 5, strategy: max_resource is missing, and no hyperparameter says it" in cli("validate", str(file)).stderr
    )
    only = text.replace("type: continuous\n    min: 0.001\n    max: 0.1", "type: categorical\n    values: [1]")
    file.write_text(only)
    assert cli("validate", str(file)).exit_code == 0
    strict = cli("validate", str(file), "--strict")
    assert strict.exit_code == 2 and "Extended mode allows it." in strict.stderr


def test_validate_sees_what_only_the_service_knows(file: Path, cli: Run) -> None:
    file.write_text(file.read_text().replace("metric: acc", "metric: acc", 1) + "tags: {'a^b': x}\n")
    result = cli("validate", str(file))
    assert result.exit_code == 2 and "a^b" in result.stderr


MANY = """\
strategy: Grid
objective: {metric: acc}
max_jobs: 4
max_parallel_jobs: "2"
seed: 3000000000
parameters:
  lr: {type: continuous, min: 1.0, max: 0.1}
  units: {type: integer, min: 1, max: 1e30}
  depth: {type: integer, min: 1}
  "": {type: categorical, values: [a]}
hyperband: {min_resource: 1}
completion: {target: 0.5, patience: 3}
warm_start: {type: TransferLearning, parents: [gone]}
training:
  entry_point: trian.py
  source_dir: .
  metrics: {acc: "acc=(.*", loss: "loss=.*"}
  inputs:
    train: ./nowhere
    "a b": .
  environment: {1A: x}
  role: arn:aws:iam::000000000000:rolle/tunewright
tags: {"a^b": x}
"""


def test_every_kind_of_problem_is_told_in_one_round_with_its_line(
    tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEWRIGHT_HOME", str(tmp_path / "untouched"))
    (tmp_path / "train.py").write_text("")
    file = tmp_path / "many.yaml"
    file.write_text(MANY)
    problems = json.loads(cli("validate", str(file), "--json").stdout)["Problems"]
    said = [f"{problem['Where']}: {problem['Message']}" for problem in problems]
    starts = [
        "line 1, strategy: Grid needs a finite space; give lr a step under steps",
        'line 4, max_parallel_jobs: "2" is not a whole number. Write 2 without quotes.',
        "line 5, seed: 3000000000 is too large; the largest allowed is 2147483647.",
        "line 7, parameters.lr: MinValue 1.0 is greater than MaxValue 0.1; swap them.",
        "line 8, parameters.units: MaxValue must lie within 2^53 of zero",
        "line 9, parameters.depth: 'max' is missing.",
        "line 10, parameters.'': has no name; give it one.",
        "line 11, hyperband: is for the strategy Hyperband, got Grid; set strategy: Hyperband, or leave it out.",
        "line 12, completion.patience: is not a field.",
        "line 13, warm_start.parents[0]: there is no tuning job called 'gone'.",
        "line 15, training.entry_point: there is no file 'trian.py'",
        "line 17, training.metrics.acc: 'acc=(.*' is not a regular expression",
        "line 17, training.metrics.loss: 'loss=.*' captures nothing",
        "line 19, training.inputs.train: there is no file or directory './nowhere'",
        "line 20, training.inputs.a b: 'a b' is not a name for a channel",
        "line 21, training.environment.1A: '1A' is not a name for a variable",
        "line 22, training.role: 'arn:aws:iam::000000000000:rolle/tunewright' is refused: it must satisfy",
        "line 23, tags.a^b: 'a^b' is refused: it must satisfy the regular expression",
    ]
    assert [line[: len(start)] for line, start in zip(said, starts, strict=True)] == starts
    ran = cli("run", str(file))
    assert ran.exit_code == 2 and ran.stderr.startswith(f"Error: {len(starts)} problems:\n  line 1, strategy")
    assert not (tmp_path / "untouched").exists()


WHOLE: dict[str, Any] = {
    "name": "digits",
    "strategy": "Random",
    "hyperband": {"max_resource": 3},
    "objective": {"metric": "acc", "type": "Maximize"},
    "max_jobs": 4,
    "seed": 1,
    "parameters": {
        "lr": {"type": "continuous", "min": 0.1, "max": 1.0, "scaling": "Auto"},
        "n": {"type": "integer", "min": 1, "max": 9},
        "opt": {"type": "categorical", "values": ["a", "b"]},
    },
    "initial_points": [{"lr": 0.5}],
    "conditions": {"n": "opt == 'a'"},
    "steps": {"n": 2},
    "forbidden": ["n > 7"],
    "completion": {"target": 0.5},
    "warm_start": {"type": "TransferLearning", "parents": ["gone"]},
    "tags": {"a": "b"},
    "training": {
        "entry_point": "train.py",
        "hyperparameters": {"epochs": 3},
        "metrics": {"acc": "acc=(.*)"},
        "inputs": {"train": "data", "test": {"uri": "data"}},
        "environment": {"A": "b"},
        "checkpoint_path": "kept",
        "gpus": 0,
    },
}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2**70),
    st.sampled_from([1e30, "", "Grid", "Hyperband", "x y", "s3://", "file://x/y", [], {}, [None], {"": 1}, [[1]]]),
)


def _places(data: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [each for key, value in items for each in ((*where, key), *_places(value, (*where, key)))]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([(("training", "entry_point"), "file://x/y")])
@given(st.lists(st.tuples(st.sampled_from(_places(WHOLE)), ODD), min_size=1, max_size=4))
def test_whatever_stands_in_a_file_is_told_and_never_stumbled_over(
    tmp_path: Path, changes: list[tuple[tuple[Any, ...], Any]]
) -> None:
    (tmp_path / "train.py").write_text("")
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "x").write_text("")
    data = json.loads(json.dumps(WHOLE))
    for where, odd in changes:
        around = data
        for part in where[:-1]:
            inside = isinstance(around, list) and isinstance(part, int) and part < len(around)
            around = around[part] if inside else around.get(part) if isinstance(around, dict) else None
        if isinstance(around, dict):
            around[where[-1]] = json.loads(json.dumps(odd))
    file = tmp_path / "odd.json"
    file.write_text(json.dumps(data))
    mine = Settings.load({"TUNEWRIGHT_HOME": str(tmp_path / "home")}, tmp_path)
    with pytest.raises(Invalid) as caught:
        checked(file, strict=False, now=0, name=None, settings=mine, jobs=None)
    assert all(problem.message for problem in caught.value.problems)


# ---- what this machine would refuse ----

MODULE = """\
print("importing says something")
def train(lr, data, units=3): return lr
def anything(**given): return 1
def fewer(lr): return lr
def apart(lr, /, units): return lr
async def later(lr, units): return lr
def bits(lr, units): yield lr
"""


@pytest.mark.parametrize(
    ("training", "says"),
    [
        ("{entry_point: train.py, python: python9}", "training.python: 'python9' is not in PATH. Name an interpreter"),
        ("{entry_point: train.py, python: ./bin/py}", "training.python: './bin/py' does not exist or is not exec"),
        ("{entry_point: train.py, output_path: train.py/out}", "training.output_path: 'train.py/out' cannot be writ"),
        ("{entry_point: train.py, checkpoint_path: /proc/none}", "training.checkpoint_path: '/proc/none' cannot be"),
        ("{entry_point: train.py, gpus: 3}", "training.gpus: the training job asks for 3 GPUs and this host has 1"),
        ("{function: 'nomod:b'}", "training.function: 'nomod' cannot be imported: ModuleNotFoundError"),
        ("{function: 'json:nofn'}", "training.function: the module 'json'"),
        ("{function: 'mine:train'}", "training.function: the function train needs a value for its parameter 'data'"),
        ("{function: 'mine:fewer'}", "parameters.units: the function has no parameter 'units'; it has lr."),
        ("{function: 'mine:fewer', hyperparameters: {x: 1}}", "training.hyperparameters.x: the function has no param"),
        ("{function: 'mine:apart'}", "training.function: apart takes lr by position only"),
        ("{function: 'mine:later'}", "training.function: calling later gives a coroutine and trains nothing"),
        ("{function: 'mine:bits'}", "training.function: calling bits gives a generator and trains nothing"),
        ("{function: 'ends:f'}", "training.function: importing 'ends' ended the interpreter: exit code 3"),
        ("{function: 'mine:anything', output_path: out}", ""),
        ("{function: 'mine:train', hyperparameters: {data: x}, gpus: 1}", ""),
    ],
)
def test_what_would_fail_every_training_job_is_told_before(
    tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch, training: str, says: str
) -> None:
    monkeypatch.setenv("TUNEWRIGHT_HOME", str(tmp_path / "untouched"))
    monkeypatch.setenv("TUNEWRIGHT_SLOTS", "cpu=1,gpu=1")
    (tmp_path / "train.py").write_text("")
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "ends.py").write_text("raise SystemExit(3)\n")
    file = tmp_path / "t.yaml"
    file.write_text(
        "objective: {metric: acc}\nmax_jobs: 2\nparameters:\n  lr: {type: continuous, min: 0, max: 1}\n"
        f"  units: {{type: integer, min: 1, max: 9}}\ntraining: {training}\n"
    )
    before = sorted(each.name for each in tmp_path.iterdir())
    result = cli("validate", str(file))
    assert (says in result.stderr, result.exit_code) == (True, 2 if says else 0), result.stderr
    if says:
        assert says in cli("run", str(file)).stderr
    assert sorted(each.name for each in tmp_path.iterdir() if each.name != "__pycache__") == before


def test_a_conditional_parameter_needs_a_default(tmp_path: Path, cli: Run) -> None:
    (tmp_path / "mine.py").write_text("def train(lr, opt): return lr\n")
    file = tmp_path / "t.yaml"
    file.write_text(
        "objective: {metric: acc}\nmax_jobs: 2\nparameters:\n  lr: {type: continuous, min: 0, max: 1}\n"
        "  opt: {type: categorical, values: [a, b]}\nconditions: {lr: opt == 'a'}\ntraining: {function: 'mine:train'}\n"
    )
    assert "line 6, conditions.lr: the function's parameter 'lr' has no default" in cli("validate", str(file)).stderr
