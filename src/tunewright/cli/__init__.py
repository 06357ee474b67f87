"""The command line: `tunewright`, also as `python -m tunewright`.

A face over the same operations as every other one: jobs are created and stopped through a botocore client,
and read through `core.reads.Reads`. It knows neither the store nor the executors. Nothing heavy is imported
before a command needs it, so that help and version come at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tunewright.cli.about import about


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script: run one command and leave with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given in (["--version"], ["-V"]):
        print(about())
        return
    try:
        from tunewright.cli.app import run

        code = run(given)
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
