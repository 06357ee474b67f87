"""Two files of runs on the same problems and seeds: the regret in the one over that in the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np


class Run(TypedDict):
    """One search on one problem.

    Keys:
        curve: the best true value after each trial.
        seconds: of each suggestion.
        reference: random search's expected regret after n trials; entry 0 that of the median best of ten.
    """

    problem: str
    seed: int
    curve: list[float]
    seconds: list[float]
    reference: list[float]


def ratio_table(before: Sequence[Run], after: Sequence[Run], budgets: Sequence[int], least: Mapping[str, float]) -> str:
    """A table by the first word of problems' names: geometric means, 90 % bootstrap intervals over problems.

    Regrets are taken over random search's expected one (`reference`) and clipped to [0.001, 10].

    Args:
        before, after: the runs, of which those on the same problem with the same seed are compared.
        least: the least value of each problem; 0 where none is given.
    """
    old = {(one["problem"], one["seed"]): one for one in before}
    pairs = [(old[key], one) for one in after if (key := (one["problem"], one["seed"])) in old]
    kinds = sorted({one["problem"].split("-")[0] for _, one in pairs})
    lines, rng = [], np.random.default_rng(0)
    for kind in ["all", *kinds]:
        own = [pair for pair in pairs if kind in ("all", pair[0]["problem"].split("-")[0])]
        row = f"{kind:10s} {len(own):4d}"
        for budget in budgets if own else ():
            logs = defaultdict(list)
            for pair in own:
                low = least.get(pair[0]["problem"], 0.0)
                scale = max(pair[0]["reference"][budget] - low, 1e-9)
                was, now = (float(np.clip((one["curve"][budget - 1] - low) / scale, 1e-3, 10)) for one in pair)
                logs[pair[0]["problem"]].append(np.log(was / now))
            means = [float(np.mean(each)) for each in logs.values()]
            drawn = [np.mean(rng.choice(means, len(means))) for _ in range(2000)]
            centre, lower, upper = np.exp([np.mean(means), *np.quantile(drawn, [0.05, 0.95])])
            row += f"  at {budget}: {centre:.2f} [{lower:.2f}, {upper:.2f}]"
        lines.append(row)
    return "\n".join(lines)
