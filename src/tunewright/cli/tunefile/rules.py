"""The rules of a tuning file that its schema cannot say, each tried on what has its shape, whatever else is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tunewright.aws.sagemaker.patterns import pattern_problem
from tunewright.aws.sagemaker.rules import MAX_RESOURCE_KEYS, inferred_max_resource
from tunewright.cli.tunefile.document import Plain, Where
from tunewright.core.replicates import budget_problem
from tunewright.core.space import (
    CategoricalParameter,
    ContinuousParameter,
    IntegerParameter,
    Parameter,
    Space,
    Value,
    with_rules,
)
from tunewright.core.suggest import did_you_mean, nearest
from tunewright.sdk.values import encode_hyperparameter

EXTENSIONS = ("initial_points", "conditions", "steps", "forbidden", "replicates", "keep_best")
TRAINING_EXTENSIONS = ("function", "python", "cpus", "gpus")
HYPERBAND_EXTENSIONS = ("proposals", "mode")
PROGRAMS = ("entry_point", "function", "algorithm")

Finding: TypeAlias = tuple[Where, str, bool]
"""Where something is wrong, what, and whether extended mode would accept it."""


@dataclass(frozen=True, slots=True)
class Sound:
    """The parts of a tuning file that have their shape.

    Args:
        data: the file without the others.
        given: the file as it stands, for what is said to be missing.
        cuts: what was left out.
    """

    data: dict[str, Plain]
    given: Mapping[str, Plain]
    cuts: frozenset[Where]

    @property
    def training(self) -> dict[str, Plain]:
        return table(self.data, "training")

    def lacks(self, *where: str) -> bool:
        """Whether something was left out at a place or below it."""
        return any(cut[: len(where)] == where for cut in self.cuts)

    def tries(self, *where: str) -> bool:
        """Whether the file gives a field, if only with a wrong value or misspelled."""
        *around, name = where
        given: Plain = dict(self.given)
        for part in around:
            given = given.get(part) if isinstance(given, dict) else None
        if not isinstance(given, dict):
            return given is not None
        wrong = [str(cut[-1]) for cut in self.cuts if cut[:-1] == tuple(around)]
        return name in given or nearest(name, wrong) is not None


def table(data: Mapping[str, Plain], name: str) -> dict[str, Plain]:
    """A field that is a table, or an empty one."""
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def broken_rules(sound: Sound, *, strict: bool) -> Iterator[Finding]:
    """What breaks a rule, as far as it can be told from what has its shape."""
    data, training = sound.data, sound.training
    yield from _program(sound)
    yield from _tuned(sound, strict=strict)
    if not strict and not sound.lacks("parameters"):
        yield from _ruled(data)
    yield from _objective(sound)
    yield from _patterns(training)
    if not sound.lacks("strategy"):
        yield from _strategy(sound)
    yield from _hyperband(data)
    yield from _promotion(sound)
    yield from _budget(sound)
    if strict:
        yield from _only_extended(data, training)


def _program(sound: Sound) -> Iterator[Finding]:
    training = sound.training
    ways = [name for name in PROGRAMS if name in table(sound.given, "training")]
    where: Where = ("training",)
    if sound.tries("training") and not any(sound.tries("training", name) for name in (*PROGRAMS, "image")):
        yield where, "says nothing to run: give entry_point (a script) or function (package.module:name).", False
    if len(ways) > 1:
        yield where, f"gives {' and '.join(ways)}; keep one of them.", False
    if "algorithm" in training:
        yield (
            (*where, "algorithm"),
            f"built-in algorithms such as {training['algorithm']!r} cannot be run yet; call the library in a script of"
            " your own and name it in entry_point.",
            False,
        )


def _tuned(sound: Sound, *, strict: bool) -> Iterator[Finding]:
    parameters = table(sound.data, "parameters")
    if not sound.tries("parameters"):
        yield ("parameters",), "is missing: give at least one parameter to tune, with its type and range.", False
        return
    for name, parameter in space(parameters).parameters.items():
        where: Where = ("parameters", name)
        for problem in parameter.problems(name, strict=strict):
            yield where, problem.message, problem.extended_allows
    static = table(sound.training, "hyperparameters")
    for name in table(sound.given, "parameters"):
        if name in static:
            text = "is tuned under parameters and fixed here too; remove one of them."
            yield ("training", "hyperparameters", name), text, False
        if name.startswith("_tun") or name.startswith("sagemaker_"):
            yield ("parameters", name), "is a reserved name; choose another one.", False
    for name in static:
        if name.startswith("_tun"):
            yield ("training", "hyperparameters", name), "is a reserved name; choose another one.", False


def space(parameters: Mapping[str, Plain]) -> Space:
    """The search space of a file's `parameters`, whose shape has been checked."""
    return Space({name: _parameter(entry) for name, entry in parameters.items() if isinstance(entry, dict)})


def _parameter(entry: Mapping[str, Plain]) -> Parameter:
    if entry["type"] == "categorical":
        values = entry["values"]
        assert isinstance(values, list)
        return CategoricalParameter([value for value in values if isinstance(value, Value)])
    low, high = entry["min"], entry["max"]
    assert isinstance(low, int | float) and isinstance(high, int | float)
    kind = IntegerParameter if entry["type"] == "integer" else ContinuousParameter
    return kind(low, high, str(entry.get("scaling", "Auto")))


def _objective(sound: Sound) -> Iterator[Finding]:
    objective, metrics = table(sound.data, "objective"), table(table(sound.given, "training"), "metrics")
    if not sound.tries("objective"):
        text = 'is missing: name the metric that counts, such as {metric: "val:acc", type: Maximize}.'
        yield ("objective",), text, False
    if not objective:
        return
    metric = str(objective["metric"])
    if metrics and metric not in metrics:
        hint = did_you_mean(metric, metrics)
        names = ", ".join(map(repr, metrics))
        yield ("objective", "metric"), f"{metric!r} is not among training.metrics, which define {names}.{hint}", False


def _patterns(training: Mapping[str, Plain]) -> Iterator[Finding]:
    for name, pattern in table(training, "metrics").items():
        if wrong := pattern_problem(str(pattern)):
            yield ("training", "metrics", name), f"{pattern!r} {wrong}", False


def _strategy(sound: Sound) -> Iterator[Finding]:
    data, strategy = sound.data, sound.data.get("strategy", "Bayesian")
    if strategy == "Hyperband":
        if data.get("early_stopping") == "Auto":
            text = "Auto cannot be used with Hyperband, which stops training jobs itself; use Off."
            yield ("early_stopping",), text, False
        yield from _longest(sound)
        return
    if strategy == "Grid":
        yield from _infinite(data)
    if "hyperband" in sound.given:
        where: Where = ("hyperband",)
        what = "is"
        if table(data, "hyperband").get("mode") == "promotion":
            where, what = ("hyperband", "mode"), "promotion is"
        remedy = "set strategy: Hyperband, or leave it out"
        yield where, f"{what} for the strategy Hyperband, got {strategy}; {remedy}.", False


def _infinite(data: Mapping[str, Plain]) -> Iterator[Finding]:
    """Grid tries every configuration, so that there must be an end to them."""
    steps = table(data, "steps")
    names = [
        name
        for name, each in table(data, "parameters").items()
        if isinstance(each, dict) and each["type"] == "continuous" and each["min"] != each["max"] and name not in steps
    ]
    if names:
        text = f"Grid needs a finite space; give {', '.join(names)} a step under steps, or list values as categorical."
        yield ("strategy",), text, False


def _longest(sound: Sound) -> Iterator[Finding]:
    """Hyperband needs to know how many values a training job reports at most."""
    static = table(sound.training, "hyperparameters")
    told = "max_resource" in table(sound.given, "hyperband") or sound.lacks("hyperband")
    texts = {name: encode_hyperparameter(static[name]) for name in MAX_RESOURCE_KEYS if name in static}
    if not told and inferred_max_resource(texts) is None and not sound.lacks("training", "hyperparameters"):
        text = (
            "max_resource is missing, and no hyperparameter says it: give it, or one of"
            f" {', '.join(MAX_RESOURCE_KEYS)} as a whole number under training.hyperparameters."
        )
        yield ("hyperband",) if "hyperband" in sound.given else ("strategy",), text, False


def _hyperband(data: Mapping[str, Plain]) -> Iterator[Finding]:
    hyperband = table(data, "hyperband")
    low, high = hyperband.get("min_resource", 1), hyperband.get("max_resource")
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        yield ("hyperband", "min_resource"), f"{low} is greater than max_resource {high}; swap them.", False


def _budget(sound: Sound) -> Iterator[Finding]:
    jobs, replicates = sound.data.get("max_jobs"), sound.data.get("replicates", 1)
    if isinstance(jobs, int) and isinstance(replicates, int) and (wrong := budget_problem(jobs, replicates)):
        yield ("max_jobs",), wrong, False
    ended = sound.tries("max_jobs") or sound.tries("completion") or sound.lacks("strategy")
    if not ended and sound.data.get("strategy") != "Grid":
        text = "is missing, and nothing else ends the job: give max_jobs, or a limit under completion."
        yield ("max_jobs",), text, False


def _promotion(sound: Sound) -> Iterator[Finding]:
    if table(sound.data, "hyperband").get("mode") != "promotion":
        return
    if not sound.tries("training", "checkpoint_path"):
        text = (
            "is missing, and with hyperband mode promotion training jobs are paused and resumed from their checkpoints;"
            " say where they are kept, such as ./checkpoints, or use mode: stopping."
        )
        yield ("training", "checkpoint_path"), text, False


def _ruled(data: Mapping[str, Plain]) -> Iterator[Finding]:
    """Steps, conditions, forbidden combinations and points to try first must fit the parameters and one another."""
    parameters = space(table(data, "parameters"))
    steps, conditions = table(data, "steps"), table(data, "conditions")
    forbidden, points = data.get("forbidden"), data.get("initial_points")
    numbers = {name: step for name, step in steps.items() if isinstance(step, int | float)}
    texts = {name: str(text) for name, text in conditions.items()}
    rules = [str(text) for text in forbidden] if isinstance(forbidden, list) else []
    ruled, found = with_rules(parameters.parameters, numbers, texts, rules)
    if parameters.problems(strict=False):
        return
    found += ruled.problems(strict=False)
    for problem in found:
        yield _where(problem.path, steps), problem.message, False
    if found or not isinstance(points, list):
        return
    finder = ruled.finder()
    for place, point in enumerate(points):
        for problem in ruled.read_point(point if isinstance(point, dict) else {}, finder)[1]:
            where: Where = ("initial_points", place, *([problem.path] if problem.path else []))
            yield where, problem.message, False


def _where(path: str, steps: Mapping[str, Plain]) -> Where:
    """Where in the file a problem of a space belongs: `conditions.NAME`, `forbidden[PLACE]`, or a stepped range."""
    head, dot, name = path.partition(".")
    if head in ("conditions", "steps") and dot:
        return (head, name)
    if path.startswith("forbidden["):
        return ("forbidden", int(path[len("forbidden[") : -1]))
    return ("steps", path) if path in steps else (path,)


def _only_extended(data: Mapping[str, Plain], training: Mapping[str, Plain]) -> Iterator[Finding]:
    name = str(data.get("name", ""))
    if len(name) > 32:
        yield ("name",), f"{name!r} has {len(name)} characters; the limit is 32.", True
    text = "is an extension of Tunewright's, which strict mode refuses; leave it out."
    for name in EXTENSIONS:
        if name in data:
            yield (name,), text, True
    for name in TRAINING_EXTENSIONS:
        if name in training:
            yield ("training", name), text, True
    for name in HYPERBAND_EXTENSIONS:
        if name in table(data, "hyperband"):
            yield ("hyperband", name), text, True
