"""Commands about tuning files: make one, check one."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli.command import WRONG, AsJson, Strict
from tunewright.cli.out import emit, error_text, say, warn
from tunewright.core.errors import Invalid


def init(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="A training script that uses argparse.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; '-' prints it. SCRIPT.yaml by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: AsJson = False,
) -> int | None:
    """Write a tuning file from a script's arguments.

    The script is read, never run."""
    from tunewright.cli.names import job_name
    from tunewright.cli.scaffold import read_script, tuning_file

    found = read_script(script)
    target = Path(f"{script.stem}.yaml") if output is None else output
    shown = str(target) == "-"
    base = Path.cwd() if shown else target.absolute().parent
    resolved = script.absolute()
    entry = resolved.relative_to(base).as_posix() if resolved.is_relative_to(base) else str(resolved)
    name = job_name(script.stem, 0)[: -len("-700101-000000")]
    text = tuning_file(found, entry, name)
    if shown:
        print(text, end="")
        return None
    try:
        with target.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        text = "is there already; give --force to write over it, or another --output."
        raise Invalid.one(str(target), text) from None
    except OSError as error:
        raise Invalid.one(str(target), f"cannot be written: {error.strerror}.") from error
    if as_json:
        arguments = [argument.name for argument in found.arguments]
        emit({"File": str(target), "Arguments": arguments, "Metrics": [*found.reported, *found.printed]})
        return None
    say(f"Wrote {target} from {len(found.arguments)} arguments of {script.name}.")
    if not found.printed and not found.reported:
        warn("No metric was found in the script: print one as name=value, and name it under objective and metrics.")
    say(f"Look at its ranges, then: tunewright validate {target}; tunewright run {target}")
    return None


def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The tuning file (YAML, TOML or JSON).")],
    request: Annotated[bool, typer.Option("--request", help="Print the AMT request that the file stands for.")] = False,
    name: Annotated[str | None, typer.Option("--name", help="The tuning job's name, whatever the file says.")] = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> int | None:
    """Check a tuning file; nothing is started.

    Everything that is wrong with it is said at once."""
    from tunewright.cli.shelf import BucketShelf, HomeShelf
    from tunewright.cli.tunefile import load
    from tunewright.settings import Settings

    try:
        found = load(file, strict=strict, now=time.time(), name=name)
        home = Settings.load().home
        made = found.request(BucketShelf(None) if strict else HomeShelf(home, dry=True))
        check_request(made, strict=strict)
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
    limit = config["ResourceLimits"].get("MaxNumberOfTrainingJobs", "no fixed number of")
    say(f"{file} is valid: {found.name}, {config['Strategy']} over {ranges} parameters, {limit} training jobs.")
    return None


def check_request(request: dict[str, object], *, strict: bool) -> None:
    """All that the service would refuse without looking at other jobs. Raises Invalid."""
    from tunewright.aws.protocol import read_request

    _, violations = read_request("CreateHyperParameterTuningJob", request, strict=strict)
    if violations:
        from tunewright.core.errors import Problem

        text = "{} does not satisfy: {}."
        raise Invalid([Problem(v.path, text.format(v.value, v.constraint), v.extended_allows) for v in violations])


def advice(request: dict[str, dict[str, dict[str, str]]]) -> list[str]:
    """What is allowed and probably not meant: a direction that fights its metric's name."""
    from tunewright.sdk.advice import expected_direction

    objective = request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    metric, direction = objective["MetricName"], objective["Type"]
    expected = expected_direction(metric)
    if expected is None or expected == direction:
        return []
    return [
        f"objective.type is {direction}, but by its name {metric!r} is to be {expected.lower()}d."
        f" If that is not meant, say type: {expected}."
    ]
