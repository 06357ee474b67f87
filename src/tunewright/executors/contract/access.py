"""How a server lets its training programs in: variables in a file that belongs to the server's user alone.

The file has a line `NAME=value` for each variable, as container engines read them too. A server names it by a variable
of its own environment, which its fork server and function workers inherit; so no secret stands on a command line, in
a training job's record or in its directory.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "TUNEWRIGHT_PROGRAMS"
"""Names the file. Not set where no server runs the training jobs: then programs inherit what there is."""
PREFIX = "AWS_"
CA = "AWS_CA_BUNDLE"


def surroundings(base: Mapping[str, str], *, isolated: bool) -> dict[str, str]:
    """What a training program inherits of `base`, with the way to its server.

    The AWS variables of whoever started the server are theirs, and not the programs'; except whom to trust over TLS.

    Args:
        isolated: whether the program has no network, and so no use for the way.
    """
    if VARIABLE not in base:
        return dict(base)
    kept = {n: v for n, v in base.items() if n != VARIABLE and (n == CA or not n.startswith(PREFIX))}
    return kept if isolated else {**kept, **read(base)}


def read(base: Mapping[str, str]) -> dict[str, str]:
    """The variables in the file that `base` names; none when there is no file."""
    try:
        text = Path(base.get(VARIABLE, os.devnull)).read_text(encoding="utf-8")
    except OSError:
        return {}
    pairs = (line.partition("=") for line in text.split("\n"))
    return {name: value for name, separator, value in pairs if separator}


def write(path: Path, variables: Mapping[str, str]) -> None:
    """Replace the file; nobody else may read it, at no moment. Raises OSError."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in variables.items())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
