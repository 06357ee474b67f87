"""What a strategy is, and how third parties add theirs.

A strategy is an opinion about a history with one definition: a pure function, asked anew at every question.
One that also stops trials has a `judge` method like `core.ports.Advisor`. A package offers a strategy through
the entry-point group `tunewright.strategies`: the entry's name is the strategy's name, its object is called
without arguments and returns a `Strategy`. `tunewright.testing.strategy_suite` holds the rules as tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Protocol, runtime_checkable

from tunewright.core.errors import Invalid
from tunewright.core.history import History
from tunewright.core.ports import Proposals
from tunewright.core.spec import JobSpec
from tunewright.core.spec import Strategy as Strategies
from tunewright.core.suggest import did_you_mean
from tunewright.core.trial import Verdict

GROUP = "tunewright.strategies"


class Strategy(Protocol):
    """Finds configurations. Same history, same answer; no two trials get the same point while another is left."""

    def propose(self, history: History, first: int, count: int) -> Proposals:
        """At most `count` proposals, numbered from `first`; `exhausted` when there is nothing left to propose."""
        ...


@runtime_checkable
class Judge(Protocol):
    """Says whether a running trial goes on, having seen its curve up to an epoch."""

    def judge(self, history: History, number: int, upto: int) -> Verdict:
        """As `core.ports.Advisor.judge`."""
        ...


def chosen_name(spec: JobSpec) -> str:
    """The name of the strategy that a job asks for: an installed one by `options["strategy"]`, else AMT's."""
    named = spec.options.get("strategy")
    return str(json.loads(named)) if named else str(spec.strategy)


def load_installed(name: str) -> Strategy:
    """A third party's strategy by name.

    Raises:
        Invalid: nothing of that name is installed.
    """
    found = entry_points(group=GROUP)
    for entry in found:
        if entry.name == name:
            factory: Callable[[], Strategy] = entry.load()
            return factory()
    names = sorted(entry.name for entry in found)
    installed = ", ".join(names) or "none"
    hint = did_you_mean(name, [*Strategies, *names])
    raise Invalid.one(
        "strategy",
        f"{name!r} is not Bayesian, Random, Grid or Hyperband, and no package offers it in the entry-point "
        f"group {GROUP!r} (installed: {installed}). Check the spelling or install the package.{hint}",
    )
