"""What `init` and `validate` do."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewright.assembly import check_settings
from tunewright.aws.sagemaker.rules_warmstart import Jobs
from tunewright.cli.commands.shared import WRONG
from tunewright.cli.engine import connect
from tunewright.cli.names import clean, counted
from tunewright.cli.out import error_text, say, warn
from tunewright.cli.scripts.reading import read_script
from tunewright.cli.scripts.scaffold import NOTHING, tuning_file
from tunewright.cli.tunefile.preflight import checked
from tunewright.cli.tunefile.request import Request, TuningFile
from tunewright.cli.views import emit
from tunewright.control.clock import SteadyClock
from tunewright.core.errors import Invalid
from tunewright.sdk.advice import expected_direction
from tunewright.settings import Settings


def init(script: Path, output: Path | None, *, force: bool, as_json: bool) -> int | None:
    """Write a tuning file from a script's arguments; `-` prints it."""
    found = read_script(script)
    target = Path(f"{script.stem}.yaml") if output is None else output
    shown = str(target) == "-"
    if target.suffix.lower() in (".toml", ".json"):
        remedy = f"write it to {target.with_suffix('.yaml')}"
        raise Invalid.one("--output", f"{target} would be read as {target.suffix[1:].upper()}, and is YAML; {remedy}.")
    base = Path.cwd() if shown else target.absolute().parent
    resolved = script.absolute()
    entry = resolved.relative_to(base).as_posix() if resolved.is_relative_to(base) else str(resolved)
    text = tuning_file(found, entry, clean(script.stem))
    if shown:
        print(text, end="")
        return None
    _write(target, text, force=force)
    if as_json:
        arguments = [argument.name for argument in found.arguments]
        emit({"File": str(target), "Arguments": arguments, "Metrics": [*found.reported, *found.printed]})
        return None
    say(f"Wrote {target} from {len(found.arguments)} arguments of {script.name}.")
    if not found.printed and not found.reported:
        warn("No metric was found in the script: print one as name=value, and name it under objective and metrics.")
    if NOTHING in text:
        warn(
            "Nothing to tune was found in the script: put what it takes as --name VALUE in the place of learning_rate."
        )
    say(f"Look at its ranges, then: tunewright validate {target}; tunewright run {target}")
    return None


def _write(target: Path, text: str, *, force: bool) -> None:
    try:
        with target.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        remedy = "is there already; give --force to write over it, or another --output."
        raise Invalid.one(str(target), remedy) from None
    except OSError as error:
        raise Invalid.one(str(target), f"cannot be written: {error.strerror or error}.") from error


def validate(file: Path, name: str | None, *, request: bool, strict: bool, as_json: bool) -> int | None:
    """Check a tuning file and say everything that is wrong with it."""
    settings = _settings()
    try:
        found, made = looked_over(file, name, settings, strict=strict)
    except Invalid as error:
        if as_json:
            problems = [{"Where": problem.path, "Message": problem.message} for problem in error.problems]
            emit({"Valid": False, "File": str(file), "Problems": problems})
        else:
            print(error_text(error, str(file)), file=sys.stderr)
        return WRONG
    if request or as_json:
        emit(made if request else {"Valid": True, "File": str(file), "Request": made})
        return None
    for text in advice(made):
        warn(f"Warning: {text}")
    config = made["HyperParameterTuningJobConfig"]
    ranges = sum(map(len, config["ParameterRanges"].values()))
    limit = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    jobs = "no fixed number of training jobs" if limit is None else counted(limit, "training job")
    say(f"{file} is valid: {found.name}, {config['Strategy']} over {counted(ranges, 'parameter')}, {jobs}.")
    return None


def _settings() -> Settings:
    """The settings in force. Raises Invalid for wrong ones, which are not the file's fault."""
    settings = Settings.load()
    check_settings(settings)
    return settings


def looked_over(
    file: Path, name: str | None, settings: Settings | None = None, *, strict: bool
) -> tuple[TuningFile, Request]:
    """A tuning file that can be run, and its request with nothing put in place yet. Raises Invalid."""
    settings = settings or _settings()
    now, jobs = SteadyClock().now(), _jobs(settings)
    return checked(file, strict=strict, now=now, name=name, settings=settings, jobs=jobs)


def _jobs(settings: Settings) -> Jobs | None:
    """The tuning jobs of the store, when there is one; this command makes none."""
    path = settings.store.removeprefix("sqlite:///")
    return None if path != settings.store and not Path(path).exists() else connect().reads


def advice(request: Mapping[str, Any]) -> list[str]:
    """What is allowed and probably not meant: a direction that fights its metric's name."""
    objective = request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    metric, direction = objective["MetricName"], objective["Type"]
    expected = expected_direction(metric)
    if expected is None or expected == direction:
        return []
    return [
        f"objective.type is {direction}, but by its name {metric!r} is to be {expected.lower()}d."
        f" If that is not meant, say type: {expected}."
    ]
