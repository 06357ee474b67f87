"""The side that a training program may import: report metrics, read hyperparameters, stop in good order.

    from tunewright.script import report, params, should_stop

    for epoch in range(int(params().get("epochs", 10))):
        ...
        report(step=epoch, loss=loss, **{"validation:accuracy": accuracy})
        if should_stop():
            break

This file needs Python's standard library alone and may be copied beside a training script. Everything works
outside a training job too: `report` prints, `params` is empty, `should_stop` tells whether SIGTERM arrived.
"""

from __future__ import annotations

import json
import math
import operator
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, SupportsFloat, SupportsIndex

METRICS_VARIABLE = "TUNEWRIGHT_METRICS_FILE"
CHECKPOINT_VARIABLE = "TUNEWRIGHT_CHECKPOINT_DIR"
_HIDDEN = ("sagemaker_", "_tuning_objective_metric", "_tunewright")

_stopping = False
_installed = False
_before: Callable[[int, FrameType | None], Any] | None = None


def report(
    values: Mapping[str, SupportsFloat] | SupportsIndex | None = None,
    /,
    step: SupportsIndex | None = None,
    **metrics: SupportsFloat,
) -> None:
    """Emit values of metrics; the last value of the objective is what a training job is judged by.

    `report(step=3, loss=0.2)`, `report({"validation:accuracy": 0.91}, step=3)` and `report(3, loss=0.2)` are
    all the same kind of call. NaN and infinite values are numbers, and say that the training diverged.
    A call appends one line to the job's metrics file at once; outside a training job it prints the line.

    Args:
        values: metrics by name, for names that are no keywords; or the step.
        step: the epoch that the values belong to, from 0; reporting a step again replaces its values.
        metrics: numbers, NumPy scalars, or anything else that `float()` takes, by name.

    Raises:
        TypeError: a value is not a number, a name is not text, nothing is reported, or the step is not whole.
        ValueError: the step is negative, or a metric is given twice.
        RuntimeError: a thread reports that was begun by an earlier training job, which did not wait for it.
    """
    if values is not None and not isinstance(values, Mapping):
        if step is not None:
            raise TypeError(f"the step is given twice: {values!r} and {step!r}.")
        values, step = None, values
    given: dict[Any, Any] = dict(values or {})
    if twice := sorted(given.keys() & metrics.keys()):
        raise ValueError(f"metrics are given twice: {', '.join(twice)}.")
    given.update(metrics)
    line = entry(given, step)
    handler: Any = signal.getsignal(signal.SIGTERM)
    if hasattr(handler, "tunewright_reporting"):
        # The handler of a worker that runs functions, one after the other: it knows whose threads are whose.
        handler.tunewright_reporting()
    _emit(line)
    if hasattr(handler, "tunewright_reported"):
        # The handler of a worker that runs functions: a report is where one that is to end can be ended.
        handler.tunewright_reported()


def entry(metrics: Mapping[Any, Any], step: Any = None) -> str:
    """One report as a line of the metrics file, without the line end. Raises as `report`."""
    if not metrics:
        raise TypeError("nothing is reported; give at least one metric, such as report(loss=0.1).")
    numbers = {_name(name): _number(name, value) for name, value in metrics.items()}
    return json.dumps({"at": round(time.time(), 6), "step": _step(step), "values": numbers}, allow_nan=False)


def params() -> dict[str, Any]:
    """The running training job's hyperparameters with their types, as a training script's arguments are.

    Read from `SM_HPS`, else from hyperparameters.json in the job's configuration directory. Values are decoded
    as JSON where they are JSON (`3`, `true`, `[1, 2]`), else they are text. Empty outside a training job.
    """
    text = os.environ.get("SM_HPS")
    if text is None:
        try:
            with open(_configuration("hyperparameters.json"), encoding="utf-8") as file:
                text = file.read()
        except OSError:
            return {}
    return {name: _decode(value) for name, value in json.loads(text).items() if not name.startswith(_HIDDEN)}


def should_stop() -> bool:
    """Whether the training job was told to stop (SIGTERM): then save what is needed and return soon.

    The first call, from the main thread, puts a handler in place; a program that never asks is ended by the
    signal itself. A handler that the program had set is still called.
    """
    current: Any = signal.getsignal(signal.SIGTERM)
    if hasattr(current, "tunewright_asked"):
        # The handler of a worker that runs functions: it must know that this one asks, and need not interrupt it.
        current.tunewright_asked = True
        return bool(current.came)
    _install()
    return _stopping


def checkpoint_dir() -> str | None:
    """Where this training job's checkpoints live, or None when it has none: restore from here, save here.

    Files are there again when the training job is attempted anew.
    """
    if CHECKPOINT_VARIABLE in os.environ:
        return os.environ[CHECKPOINT_VARIABLE] or None
    try:
        with open(_configuration("checkpointconfig.json"), encoding="utf-8") as file:
            found = json.load(file).get("LocalPath")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def append(place: str, line: str) -> None:
    """Add a line to a metrics file, whole: one write to a file opened for appending.

    Lines of several processes never mix, and none waits in a buffer.
    """
    file = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        left = line.encode() + b"\n"
        while left:
            left = left[os.write(file, left) :]
    finally:
        os.close(file)


# ---- how it is done ----


def _configuration(name: str) -> str:
    """The path of a file in the training job's configuration directory."""
    base = os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")
    return os.path.join(os.environ.get("SM_INPUT_CONFIG_DIR") or os.path.join(base, "input", "config"), name)


def _emit(line: str) -> None:
    place = os.environ.get(METRICS_VARIABLE)
    if not place:
        print(line, flush=True)
        return
    append(place, line)


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise TypeError(f"a metric's name must be text, got {name!r}.")
    return name


def _number(name: Any, value: Any) -> float | str:
    if isinstance(value, (str, bytes, bytearray)):
        raise TypeError(f"metric {name!r} must be a number, got the text {value!r}; convert it with float().")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        kind = type(value).__name__
        raise TypeError(f"metric {name!r} must be a number, got {value!r} of type {kind}.") from error
    if math.isfinite(number):
        return number
    # Strict JSON has no word for these; they travel as text.
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _step(step: Any) -> int | None:
    if step is None:
        return None
    if isinstance(step, float) and step.is_integer():
        step = int(step)
    try:
        whole = operator.index(step)
    except TypeError:
        raise TypeError(f"step must be a whole number, got {step!r}.") from None
    if whole < 0:
        raise ValueError(f"step must not be negative, got {whole}.")
    return whole


def _decode(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=_refuse)
    except ValueError:
        return value


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _install() -> None:
    """Put our handler where the program has none; again when somebody took it away for the default."""
    global _installed, _before
    current = signal.getsignal(signal.SIGTERM)
    if current is _asked or (_installed and current is not signal.SIG_DFL):
        return
    if threading.current_thread() is threading.main_thread():
        _before = current if callable(current) else None
        signal.signal(signal.SIGTERM, _asked)
        _installed = True


def _asked(number: int, frame: FrameType | None) -> None:
    global _stopping
    _stopping = True
    if _before is not None:
        _before(number, frame)
