"""Rules of our own extension: its features must speak of parameters that exist and of values they can take."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from tunewright.aws.sagemaker.extension import PART_KEYS
from tunewright.aws.sagemaker.parts import Part, space_of, space_problems
from tunewright.core.errors import Problem


def extended_problems(part: Part) -> Iterator[Problem]:
    """What is wrong with the extended features of a definition, beside the rules of its space."""
    points = json.loads(part.options.get("initial_points", "[]"))
    if not points or space_problems(part, strict=False):
        return
    space = space_of(part)
    finder = space.finder()
    for number, point in enumerate(points, start=1):
        where = f"{part.extension_path}.initial_points.{number}"
        if not isinstance(point, dict):
            yield Problem(where, f"must be an object of parameter name to value, got {point!r}.")
            continue
        for problem in space.read_point(point, finder)[1]:
            yield Problem(f"{where}: {problem.path}" if problem.path else where, problem.message)


def differing_options(parts: Sequence[Part]) -> Iterator[Problem]:
    """The job's own options may stand in any definition, but not differ."""
    seen: dict[str, str] = {}
    for part in parts:
        for name, text in part.options.items():
            if name not in PART_KEYS and seen.setdefault(name, text) != text:
                path = f"{part.extension_path}.{name}"
                yield Problem(path, "differs between definitions; it is an option of the whole job.")


def promotion_problems(strategy: str, parts: Sequence[Part]) -> Iterator[Problem]:
    """What `hyperband_mode: promotion` needs: Hyperband's own rule, and checkpoints to resume from."""
    told = [part for part in parts if part.options.get("hyperband_mode") == '"promotion"']
    for part in told:
        installed = part.options.get("strategy", "")
        if strategy != "Hyperband" or installed:
            name = json.loads(installed) if installed else strategy
            path = f"{part.extension_path}.hyperband_mode"
            yield Problem(path, f"'promotion' is for the strategy Hyperband, got {name!r}; leave one of the two out.")
    for part in parts if told else ():
        if "CheckpointConfig" not in part.body:
            text = (
                "is missing, and with hyperband_mode 'promotion' training jobs are paused and resumed from their"
                " checkpoints; say where they are kept (checkpoint_path in a tuning file, checkpoint_s3_uri of an"
                " estimator), or use hyperband_mode 'stopping'."
            )
            yield Problem(f"{part.path}.checkpointConfig", text)
