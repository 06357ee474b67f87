"""Whether a metric's regular expression can be used: it compiles, captures a number, and stays small."""

from __future__ import annotations

import regex

from tunewright.control.patterns import compile_pattern


def pattern_problem(pattern: str) -> str:
    """Why a metric's regular expression can't be used, or nothing."""
    try:
        compile_pattern(pattern)
    except (ValueError, RecursionError, OverflowError, MemoryError) as error:
        return f"{str(error) or 'is nested too deeply'}."
    try:
        groups = regex.compile(pattern).groups
    except regex.error:
        return ""
    return "" if groups else "captures nothing; put parentheses around the number, such as `loss=([0-9.]+)`."
