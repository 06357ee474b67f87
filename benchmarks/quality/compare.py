"""Our runs of `hpobench_suite` against peers' runs on the same cells.

    python -m benchmarks.quality.compare ours-p1.jsonl --parallel ours-p4.jsonl --peers p1.jsonl --json out.json

Needs `hpobench_suite` on the path; its `report` module defines the terms (NR, GM, cells). Ratios above 1 mean
that we are better; brackets are 90 % bootstrap intervals, resampling problems, then seeds within each.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from hpobench_suite import problems
from hpobench_suite.report import Run, load_runs, normalised_regret, random_ratio

BUDGETS = (20, 50, 100)


def geometric(values: list[float]) -> float:
    return float(np.exp(np.mean(np.log(values)))) if values else float("nan")


def long_enough(runs: list[Run], budget: int) -> list[Run]:
    return [run for run in runs if len(run.incumbent) >= budget]


def by_problem(runs: list[Run]) -> dict[str, list[Run]]:
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.problem].append(run)
    return groups


def mean_gm(runs: list[Run], budget: int) -> float:
    """Geometric mean over problems of that over seeds."""
    return geometric([geometric([random_ratio(r, budget) for r in own]) for own in by_problem(runs).values()])


def mean_nr(runs: list[Run], budget: int) -> float:
    groups = by_problem(runs).values()
    return float(np.mean([np.mean([normalised_regret(r, budget) for r in own]) for own in groups]))


def paired(ours: list[Run], theirs: list[Run], budget: int) -> tuple[float, float, float, int]:
    """Geometric mean of their regret over ours on common cells, its interval, and the number of cells.

    Regrets are taken over random search's expected one and clipped to [0.001, 10], as in GM.
    """
    other = {run.cell: random_ratio(run, budget) for run in long_enough(theirs, budget)}
    logs: dict[str, list[float]] = defaultdict(list)
    for run in ours:
        if run.cell in other:
            logs[run.problem].append(float(np.log(other[run.cell] / random_ratio(run, budget))))
    if not logs:
        return (float("nan"),) * 3 + (0,)
    groups = [np.array(group) for group in logs.values()]
    rng = np.random.default_rng(0)
    means = []
    for _ in range(1000):
        picked = [groups[i] for i in rng.integers(len(groups), size=len(groups))]
        means.append(np.mean([rng.choice(group, len(group)).mean() for group in picked]))
    low, high = np.exp(np.quantile(means, [0.05, 0.95]))
    centre = float(np.exp(np.mean([group.mean() for group in groups])))
    return centre, float(low), float(high), sum(map(len, groups))


def report(ours: list[Run], peers: list[Run], parallel: list[Run]) -> dict[str, Any]:
    """All figures, as JSON: at the budgets that all of our own runs reached."""
    budgets = [budget for budget in BUDGETS if len(long_enough(ours, budget)) == len(ours)]
    made: dict[str, Any] = {"runs": len(ours), "families": {}, "peers": {}, "problems": {}}
    for family in [*sorted({run.family for run in ours}), "all"]:
        own = [run for run in ours if family in (run.family, "all")]
        row = {f"{name}{b}": f(own, b) for b in budgets for name, f in (("NR", mean_nr), ("GM", mean_gm))}
        cells = {run.cell for run in own}
        best: dict[int, tuple[float, str]] = {}
        for budget in budgets:
            scores = []
            for name in {run.optimizer for run in peers}:
                theirs = [run for run in long_enough(peers, budget) if run.optimizer == name and run.cell in cells]
                if len(theirs) == len(cells):
                    scores.append((mean_gm(theirs, budget), name))
            best[budget] = min(scores, default=(float("nan"), "none"))
        made["families"][family] = {**row, "best peer": best}
    for name in sorted({run.optimizer for run in peers}):
        theirs = [run for run in peers if run.optimizer == name]
        made["peers"][name] = {budget: paired(ours, theirs, budget) for budget in budgets}
    for problem, own in sorted(by_problem(ours).items()):
        made["problems"][problem] = [[round(normalised_regret(run, b), 3) for run in own] for b in budgets]
    bad = [(run.problem, run.seed, normalised_regret(run, 50)) for run in ours if normalised_regret(run, 50) > 1]
    made["above 1 at 50"] = bad
    if parallel:
        cells = {run.cell for run in parallel}
        same = [run for run in ours if run.cell in cells]
        made["parallel over sequential"] = {b: mean_gm(parallel, b) / mean_gm(same, b) for b in budgets}
        made["parallel GM"] = {b: mean_gm(parallel, b) for b in budgets}
    return made


def show(made: dict[str, Any]) -> None:
    for family, row in made["families"].items():
        best = "  ".join(f"{name} {score:.3f} at {b}" for b, (score, name) in row["best peer"].items())
        ours = "  ".join(f"at {b}: NR {row[f'NR{b}']:.3f} GM {row[f'GM{b}']:.3f}" for b in row["best peer"])
        print(f"{family:10s} {ours}  best: {best}")
    for name, figures in made["peers"].items():
        text = "  ".join(f"at {b}: {c:.2f} [{lo:.2f}, {hi:.2f}]" for b, (c, lo, hi, _) in figures.items())
        print(f"{name:22s} over ours {text}  ({[cells for *_, cells in figures.values()]} cells)")
    for problem, figures in made["problems"].items():
        print(f"{problem:32s}", *figures)
    print("NR above 1 at 50:", [(p, s, round(v, 2)) for p, s, v in made["above 1 at 50"]])
    if "parallel GM" in made:
        print("several pending over sequential:", made["parallel over sequential"], "GM", made["parallel GM"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ours", type=Path)
    parser.add_argument("--parallel", type=Path)
    parser.add_argument("--peers", type=Path, nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    ours = load_runs([given.ours])
    known = {run.problem for run in ours} & set(problems.all_factories())
    peers = [run for run in load_runs(given.peers) if run.problem in known and run.parallel == 1]
    made = report(ours, peers, load_runs([given.parallel]) if given.parallel else [])
    show(made)
    if given.json:
        given.json.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
