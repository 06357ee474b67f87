"""How large a regular expression becomes once an engine unrolls it.

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
