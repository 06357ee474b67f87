"""Draws docs/cases.md: what goes wrong when people tune, what happens here, and the test that holds it.

A case is held by the tests that bear its number (`test_case_04_...`, or `test_case_17_18_...` for two).
Run `python docs/draw_cases.py` after adding one; tests/cases/test_page.py keeps the page true.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "cases.md"

MEASURED = {
    41: "a matter of speed: `python -m benchmarks.quality latency` and `python -m benchmarks growth` measure it"
}
"""Cases that no test can hold without a stopwatch."""

CASES = (
    (
        1,
        "the objective is not among the metric definitions",
        "refused, naming both; the SDK takes the estimator's definitions when the tuner has none",
    ),
    (
        2,
        "a lazy group at the end of a pattern captures nothing",
        "the reason shows what was captured; `tunewright test-metric` gives the same answer",
    ),
    (3, "values go to stderr, between carriage returns", "both streams are read, a carriage return ends a line"),
    (
        4,
        "a training job ends well and never printed its metric",
        "its ObjectiveStatus is Failed; the tuning job goes on",
    ),
    (5, "every training job fails", "the tuning job fails after five, with the last lines of stderr"),
    (
        6,
        "a name differs by a blank",
        "refused, both quoted; a reported name that is not the objective is shown beside it",
    ),
    (7, "the first value is NaN", "it is never the best and sorts last"),
    (8, "a value is infinite", "it is not used; every answer stays strict JSON"),
    (9, "an integer comes back as 237.0", "it is an integer in files, arguments, tables and answers"),
    (10, "categories arrive with quotes, numbers as text", "arguments have no quotes, `SM_HPS` has types"),
    (11, "plain text from boto3 is quoted twice", "it is passed on as it was sent"),
    (12, "a value with a blank becomes two arguments", "it is one argument"),
    (13, "the best parameters show an index", "they show the category, with its type"),
    (14, "a logarithmic range begins at zero", "refused before anything starts, naming parameter, value and rule"),
    (15, "a range holds one value", "strict refuses it; extended tunes the others and divides by nothing"),
    (
        16,
        "fewer combinations than training jobs",
        "strict refuses it with AMT's text; extended runs them all, then ends",
    ),
    (17, "a grid with fewer workers than cells gets stuck", "every cell runs once; another number of jobs is refused"),
    (18, "a grid over one category stops early", "every value runs once"),
    (
        19,
        "categories or ranges changed since the parent job",
        "accepted; results used and dropped are counted, what is new is explored",
    ),
    (20, "a parameter only matters with another's value", "conditions are kept by every training job (extended)"),
    (21, "a limit is hit without a clear message", "both numbers are named; extended runs it"),
    (22, "the same configuration again and again", "none is tried twice; a space that is used up ends the job"),
    (23, "random search repeats small integers", "each is tried once"),
    (
        24,
        "a killed service leaves training jobs InProgress for ever",
        "what lives is taken over, what died is Failed, nothing runs twice",
    ),
    (25, "Hyperband does not survive a restart", "it goes on; everything comes out as if nothing had happened"),
    (
        26,
        "one bad value ends the whole job",
        "it is tolerated, named (exit code 137: likely out of memory), and avoided",
    ),
    (27, "a report comes after the training job was stopped", "it changes nothing"),
    (
        28,
        "a program cannot start and nobody says why",
        "the last lines of stderr, once, with the log's path; folders may have blanks",
    ),
    (29, "N training jobs are N - 1 or N + 1", "they are N"),
    (30, "the database is locked", "32 processes write at once without an error"),
    (31, "results are gone after a crash", "what finished is on the disk"),
    (32, "many results break a statement or a page", "40,000 training jobs are listed, ranked and exported"),
    (33, "the machine's clock jumps", "a limit on run time holds all the same"),
    (
        34,
        "early stopping never stops anything",
        "it compares with the median of the running averages, and says the numbers",
    ),
    (35, "Hyperband without a resource", "inferred from the epochs, or refused with the cause"),
    (36, "models fill the disk", "`keep_best` keeps the best ones only (extended)"),
    (37, "a harmless change is refused in a warm start", "accepted; a name that is missing or new is named"),
    (
        38,
        "who may be a parent",
        "one to five jobs that have ended, of the same objective; their own parents do not count, which is said",
    ),
    (39, "a misspelt starting point is ignored", "refused, with the name that was meant"),
    (
        40,
        "a seed is worth nothing with several workers",
        "the k-th configuration is the same at any parallelism (Random, Grid, strict Hyperband)",
    ),
    (41, "suggestions become slow after a thousand results", "they stay quick"),
    (42, "ten thousand training jobs cannot be looked through", "pages of at most 100 reach every one"),
    (43, "Ctrl-C is ignored until training jobs finish", "once stops, twice is gone at once; exit code 130"),
    (44, "children of a program survive it", "its whole group ends, also when it ignores SIGTERM"),
    (45, "paths become too long", "names hold no hyperparameters; paths stay short"),
    (
        46,
        "nothing seems to happen, or the same error again and again",
        "name and how to watch are printed; each cause is told once",
    ),
)


def held() -> dict[int, list[tuple[str, str]]]:
    """The tests that bear a case's number: their file below the project, and their name."""
    found: dict[int, list[tuple[str, str]]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name in re.findall(r"^ *def (test_case_\d\d_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            for number in re.match(r"test_case_((?:\d\d_)+)", name)[1].split("_")[:-1]:
                found.setdefault(int(number), []).append((str(path.relative_to(ROOT)), name))
    return found


def draw() -> str:
    tests = held()
    lines = [
        "# Cases",
        "",
        "What goes wrong when people tune, and what happens here. A case is held by the tests that bear its number;",
        "`python docs/draw_cases.py` draws this page.",
        "",
        "| case | what goes wrong | what happens here | held by |",
        "|---:|---|---|---|",
    ]
    for number, trouble, answer in CASES:
        links = ", ".join(f"[`{name}`](../{path})" for path, name in tests.get(number, []))
        lines.append(f"| {number} | {trouble} | {answer} | {links or MEASURED.get(number, 'not yet')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(draw(), encoding="utf-8")
