"""What commands print: tables in plain aligned text, and errors on standard error."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence

from tunewright.core.errors import Invalid
from tunewright.sdk.values import visible


def say(text: str = "") -> None:
    print(visible(text))


def hush() -> None:
    """Whoever read standard output has gone; nothing more may be written to it, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def settle() -> str:
    """Write what standard output still holds back; why that is not possible, or "". Nothing more is written then.

    It is possible in this sense when whoever read it has gone, and has seen enough.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        hush()
    except OSError as error:
        return no_room(error)
    return ""


def no_room(error: OSError) -> str:
    """What to say when standard output cannot be written; nothing more is."""
    hush()
    return f"the output could not be written: {error.strerror or type(error).__name__}"


def warn(text: str) -> None:
    print(visible(text), file=sys.stderr)


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, width: int | None = None) -> list[str]:
    """Aligned columns, numbers to the right; the last column is cut at the terminal's width where there is one."""
    cells = [list(headers), *(list(row) for row in rows)]
    sizes = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    right = [_numeric([row[column] for row in cells[1:]]) for column in range(len(headers))]
    lines = []
    for row in cells:
        places = zip(row, sizes, right, strict=True)
        line = "  ".join(cell.rjust(size) if number else cell.ljust(size) for cell, size, number in places).rstrip()
        lines.append(line if width is None or len(line) <= width else line[: max(1, width - 1)] + "…")
    return lines


def _numeric(cells: Sequence[str]) -> bool:
    """Whether a column holds numbers, or dashes where there is none."""

    def number(cell: str) -> bool:
        try:
            float(cell)
        except ValueError:
            return cell in ("-", "")
        return True

    return any(cell not in ("-", "") for cell in cells) and all(map(number, cells))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in table(headers, rows, width=width):
        print(visible(line))


def error_text(error: Exception, source: str = "") -> str:
    """An error for a person: what is wrong, one problem a line."""
    head = f"{source}: " if source else ""
    if isinstance(error, Invalid) and len(error.problems) > 1:
        lines = [f"{head}{len(error.problems)} problems:", *(f"  {problem}" for problem in error.problems)]
        return "\n".join(lines)
    return f"{head}{error}"
