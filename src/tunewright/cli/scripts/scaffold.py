"""A first tuning file from what a training script tells of itself.

What cannot be known is left for a person, with a comment that says so.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence

from tunewright.cli.scripts.arguments import TRUE, Argument
from tunewright.cli.scripts.reading import FIXED, Script
from tunewright.core.space import Value

MOST_CHOICES = 30
_MANY = 10
"""Times the lower end that the upper end is where a logarithmic scale is guessed."""
_FAR = {"int": 2**53, "float": sys.float_info.max}
"""No guess goes further: a default there stands for something else than a size, and stays as it is."""
NOTHING = "no argument to tune was found"
_Range = tuple[float | None, float | None]
_NUMBER = "([-+]?(?:[0-9.]+(?:[eE][-+]?[0-9]+)?|nan|inf))"
_SHARE = re.compile(r"drop|momentum|ratio|fraction|subsample|colsample|beta|prob|smooth")
_LESS = re.compile(r"loss|err|rmse|mae|mse|perplexity|nll|regret|time|latency|cost")
_KNOWN = re.compile(
    r"loss|accuracy|error|rmse|logloss|perplexity|score|precision|recall|bleu|rouge|regret|reward"
    r"|(?<![a-z])(acc|auc|err|f1|mse|mae|mape|nll|r2|ap|map|iou|ndcg|mrr|ppl|elbo|wer|cer|psnr|ssim|fid)(?![a-z])"
)
"""Names that metrics have."""


def tuning_file(script: Script, entry_point: str, name: str) -> str:
    """The text of a YAML tuning file, with a comment where a person has to decide."""
    tuned, fixed, inputs, notes = _sorted(script.arguments)
    metrics = dict.fromkeys(script.reported) if script.reported else dict(script.printed)
    objective, remark = _objective(list(metrics))
    lines = [
        f"name: {name}",
        "strategy: Bayesian                     # or Random, Grid, Hyperband",
        f"objective: {{metric: {_quoted(objective or 'validation:accuracy')}, type: {_direction(objective)}}}{remark}",
        "max_jobs: 20",
        "max_parallel_jobs: 2",
        "parameters:",
        *(tuned or [f"  learning_rate: {{type: continuous, min: 1.0e-4, max: 0.1}}   # {NOTHING}"]),
        "training:",
        *_program(script, entry_point),
        *(["  hyperparameters:", *fixed] if fixed else []),
        *_metric_lines(script, objective),
        *(["  inputs:", *inputs] if inputs else []),
        *(f"  # {note}" for note in [*notes, *_otherwise(script)]),
    ]
    return "\n".join(lines) + "\n"


def _program(script: Script, entry_point: str) -> list[str]:
    """The script; with its directory when it imports what lies there, for else it travels alone."""
    if not script.siblings:
        return [f"  entry_point: {_quoted(entry_point)}"]
    directory, _, file = entry_point.rpartition("/")
    remark = f"   # every training job gets a copy: the script imports {', '.join(script.siblings)}"
    return [f"  entry_point: {_quoted(file)}", f"  source_dir: {_quoted(directory) if directory else '.'}{remark}"]


def _otherwise(script: Script) -> list[str]:
    """What to do about a program that takes its hyperparameters in another way than as options."""
    remedy = "let a small script call this program (docs/quickstart.md, Programs that want something else)"
    if script.hydra:
        return [f"Hydra's key=value cannot be given: {remedy}."]
    if script.variables and not script.arguments:
        return [f"What it reads from the environment ({', '.join(script.variables)}) cannot vary: {remedy}."]
    return []


def _sorted(arguments: Sequence[Argument]) -> tuple[list[str], list[str], list[str], list[str]]:
    """Lines for what may vary, what stays fixed, inputs, and remarks."""
    tuned: list[str] = []
    fixed: list[str] = []
    inputs: dict[str, str] = {}
    notes: list[str] = []
    for argument in arguments:
        key = _quoted(argument.name)
        if argument.variable.startswith("SM_CHANNEL_"):
            channel = argument.variable.removeprefix("SM_CHANNEL_").lower()
            line = f"    {_quoted(channel)}: ./data/{channel}   # where the data of --{argument.name} lies"
            inputs.setdefault(channel, line)
        elif argument.variable:
            continue
        elif unpassed := _unpassed(argument):
            notes.append(unpassed)
        elif (spec := _range(argument)) is not None:
            tuned.append(f"  {key}: {spec}")
        elif isinstance(argument.default, float) and not math.isfinite(argument.default):
            remark = "is left to the script; name a range under parameters to tune it."
            notes.append(f"The default of {argument.option}, {argument.default}, {remark}")
        elif argument.default is not None:
            fixed.append(f"    {key}: {_scalar(argument.default)}")
        elif argument.required:
            remark = f"must be given ({argument.kind}): a value here, or a range under parameters"
            fixed.append(f"    {key}:   # {remark}")
        else:
            notes.append(f"{argument.option} has no default that can be read; add it under hyperparameters if needed.")
    return tuned, fixed, list(inputs.values()), notes


def _unpassed(argument: Argument) -> str:
    """Why a training job cannot be given an argument, and what to do; "" when it can."""
    if not argument.option:
        return f"{argument.name} is a positional argument, which cannot be given; make it an option, --{argument.name}."
    if argument.kind == "flag":
        return f"{argument.option} takes no value, so it cannot be given; make it an option with one."
    if argument.kind == TRUE:
        return (
            f"{argument.option} is left out: argparse takes every text for true there, 'False' too. Let the script read"
            f" it, as with type=lambda text: text == 'true', then name {argument.name} under hyperparameters."
        )
    if argument.option != argument.passed:
        return (
            f"{argument.option} cannot be given: training jobs are given it as {argument.passed}. Let it be called"
            f" '{argument.passed}' too, then tune {argument.name}."
        )
    return ""


def _range(argument: Argument) -> str | None:
    """A first guess at a range around an argument's default, or None to leave it fixed."""
    default, choices = argument.default, argument.choices
    if isinstance(choices, range) and choices.step == 1 and choices.stop - choices.start > 1:
        return f"{{type: integer, min: {choices[0]}, max: {choices[-1]}}}"
    if 1 < len(choices) <= MOST_CHOICES and len(listed := dict.fromkeys(map(_scalar, choices))) > 1:
        return f"{{type: categorical, values: [{', '.join(listed)}]}}"
    if isinstance(default, bool) or argument.kind not in ("int", "float") or FIXED.search(argument.name.lower()):
        return None
    guess = argument.bounds if default is None else _around(argument.name, default, argument.kind)
    low, high = _within(guess, argument.bounds)
    if low is None or high is None or low >= high:
        return None
    if argument.kind == "int":
        return f"{{type: integer, min: {int(low)}, max: {int(high)}}}"
    wide = low > 0 and high >= _MANY * low and not _SHARE.search(argument.name.lower())
    scaling = ", scaling: Logarithmic" if wide else ""
    ends = [_scalar(float(format(end, ".6g"))) for end in (low, high)]
    return f"{{type: continuous, min: {ends[0]}, max: {ends[1]}{scaling}}}"


def _around(name: str, default: Value, kind: str) -> _Range:
    """A range around a default that is a number of this kind."""
    try:
        guess = _about(name, int(default), kind) if kind == "int" else _about(name, float(default), kind)
    except (ValueError, OverflowError):
        return None, None
    return guess if max(map(abs, guess)) <= _FAR[kind] else (None, None)


def _about(name: str, default: float, kind: str) -> tuple[float, float]:
    if kind == "int":
        low, high = sorted((default // 2, default * 2))
        return max(1, low) if default > 0 else low, high if high != low else low + 10
    if _SHARE.search(name.lower()) and 0 <= default <= 1:
        return 0.0, 1.0 if default == 1 else 0.99 if default > 0.9 else 0.9
    if default > 0:
        return default / 10, default * 10
    # Most of what is 0 unless told otherwise (a penalty, a decay) cannot be negative.
    return default - 1.0 if default else 0.0, default + 1.0


def _within(guess: _Range, bounds: _Range) -> _Range:
    """A range cut to what an argument takes."""
    lows, highs = zip(guess, bounds, strict=True)
    return (
        max((each for each in lows if each is not None), default=None),
        min((each for each in highs if each is not None), default=None),
    )


def _objective(names: Sequence[str]) -> tuple[str, str]:
    """The metric that most likely counts, and a remark where that is a guess.

    One with a metric's name comes before others, then one of validation before one of training, then the last.
    """
    if not names:
        return "", ""
    rank = {name: (bool(_KNOWN.search(name.lower())), _of_what(name.lower())) for name in names}
    best = max(rank.values())
    first = [name for name in names if rank[name] == best]
    remark = (
        ""
        if best[0] and len(first) == 1
        else f"   # a guess, from: {', '.join(names)}; name the one that counts, and its type"
    )
    return first[-1], remark


def _of_what(name: str) -> int:
    return 2 if re.search(r"val|test|dev", name) else 0 if "train" in name else 1


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
    if not math.isfinite(value):
        return _quoted(str(value))  # a program takes it as text; YAML's .inf is none
    text = repr(value)
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


_WORDS = ("true", "false", "null", "yes", "no", "on", "off")


def _quoted(text: str) -> str:
    """Text as YAML: bare where it is a plain word, else in quotes: double ones where it is more than one line."""
    if not text.isprintable():
        marks = (each if each.isprintable() and each not in '"\\' else json.dumps(each)[1:-1] for each in text)
        return f'"{"".join(marks)}"'
    bare = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", text) and text.lower() not in _WORDS
    return text if bare else _in_quotes(text)


def _in_quotes(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
