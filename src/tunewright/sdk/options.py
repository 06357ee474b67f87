"""Keyword-only arguments of tuners that AMT's SDK does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from tunewright.core.parameters import plain
from tunewright.core.space import Value
from tunewright.sdk.session import Client, Session

CONNECTION = ("strict", "client", "session")


class Options(TypedDict, total=False):
    """How jobs are created, and extended features.

    strict: AMT to the letter. client: a botocore SageMaker client. session: client and engine joined.
    The others travel with the request: points to try first, conditions between parameters
    (`{"beta1": "optimizer == 'adam'"}`), steps of ranges, forbidden combinations
    (`["optimizer == 'sgd' and lr > 0.1"]`), repetitions of each configuration, how many models to keep, and how
    Hyperband proposes (`model` or `random`) and stops (`stopping` or `promotion`).
    """

    strict: bool
    client: Client | None
    session: Session | None
    initial_points: Sequence[Mapping[str, Value]]
    conditions: Mapping[str, str]
    steps: Mapping[str, float]
    forbidden: Sequence[str]
    replicates: int
    keep_best: int
    hyperband_proposals: str
    hyperband_mode: str


def check_known(options: Mapping[str, object]) -> None:
    """Raise TypeError for arguments that nobody knows."""
    known = list(Options.__annotations__)
    if unknown := [name for name in options if name not in known]:
        raise TypeError(f"unknown arguments {', '.join(unknown)}; beside SageMaker's own there are {', '.join(known)}.")


def extensions(options: Mapping[str, object]) -> dict[str, object]:
    """The extended features among the options, as JSON values."""
    return {name: _json(value) for name, value in options.items() if name not in CONNECTION and value is not None}


def _json(value: object) -> object:
    """A value with dictionaries, lists and plain numbers in the place of whatever they were."""
    if isinstance(value, Mapping):
        return {str(name): _json(each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_json(each) for each in value]
    return plain(value)
