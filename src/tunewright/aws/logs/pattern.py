"""Filter patterns of CloudWatch Logs, as far as they are for lines of text: terms that have to be there, or not.

Source: "Filter pattern syntax" in the guide of CloudWatch Logs. Terms tell capitals from small letters.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tunewright.aws.faults import Fault

_TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?=\s|$)')
MOST_CHARACTERS = 1024
"""As CloudWatch takes them."""
_ESCAPED = re.compile(r"\\(.)")


def read_pattern(pattern: str) -> Callable[[str], bool]:
    """Whether a line matches: `a b` wants both, `?a ?b` one of them, `-a` is not to be there; `"a b"` is one term.

    As in CloudWatch, terms with a question mark count for nothing beside terms without one.

    Raises:
        Fault: the pattern is for JSON or for columns, or a regular expression, or a quote does not end.
    """
    text = pattern.strip()
    if len(text) > MOST_CHARACTERS:
        raise _invalid(f"it has {len(text)} characters, at most {MOST_CHARACTERS} are taken")
    if text[:1] in ("{", "[", "%"):
        kind = {"{": "for JSON", "[": "for columns", "%": "a regular expression"}[text[0]]
        raise _invalid(f"the pattern {text[:80]!r} is {kind}; only terms are read here")
    wanted: list[str] = []
    either: list[str] = []
    without: list[str] = []
    place = 0
    while place < len(text):
        found = _TERM.match(text, place)
        if found is None:
            raise _invalid(f"the pattern {text[:80]!r} cannot be read from {text[place : place + 40]!r} on")
        term = found[3] if found[2] is None else _ESCAPED.sub(r"\1", found[2])
        {"": wanted, "?": either, "-": without}[found[1]].append(term)
        place = found.end()
        place += len(text[place:]) - len(text[place:].lstrip())
    if wanted or without:
        either = []
    return lambda line: (
        all(term in line for term in wanted)
        and not any(term in line for term in without)
        and (not either or any(term in line for term in either))
    )


def _invalid(why: str) -> Fault:
    return Fault(
        "InvalidParameterException", f'Invalid filter pattern: {why}. Write terms, as in: loss "of epoch" -debug'
    )
