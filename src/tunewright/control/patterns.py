"""What is done to a user's regular expression before an engine gets it: its tabs, and how large it becomes.

A counted repetition is unrolled by the engine, and nested ones multiply: `((a{99}){99}){99}` is a million atoms
from seventeen characters. The weight is therefore worked out before anything is compiled.
"""

from __future__ import annotations

import re

MOST_ATOMS = 20_000

# In this order: an escape, a class with its escapes, a counted repetition, a parenthesis, any one character.
_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?P<low>[0-9]*)(?:,(?P<high>[0-9]*))?\}|(?P<paren>[()])|.", re.DOTALL
)

# A tab as CloudWatch shows it, or what must not be searched for one: quoted text, an escape, a class.
_TAB = re.compile(r"\\Q.*?(?:\\E|\Z)|(?P<tab>\\?#011)|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)


def with_tabs(pattern: str) -> str:
    """A pattern whose `#011` stands for a tab too.

    Logs that passed through syslog show a tab as `#011`, and so do AWS's own patterns for XGBoost; ours keep the tab.
    Inside a class the four characters stay what they are.
    """
    return _TAB.sub(lambda found: r"(?:#011|\t)" if found["tab"] else found[0], pattern)


def weight(pattern: str) -> int:
    """About how many atoms a pattern has once its counted repetitions are unrolled."""
    groups, last = [0], 0
    for token in _TOKEN.finditer(pattern):
        text, paren = token[0], token["paren"]
        if paren == "(":
            groups.append(0)
            last = 0
        elif paren == ")" and len(groups) > 1:
            last = groups.pop() + 1
            groups[-1] += last
        elif text[0] == "{" and len(text) > 1:
            times = max(_count(token["low"]), _count(token["high"]))
            groups[-1] += last * max(0, times - 1)
            last *= max(1, times)
        else:
            last = 1
            groups[-1] += 1
    return sum(groups)


def _count(digits: str | None) -> int:
    return int(digits[:9]) if digits else 0
