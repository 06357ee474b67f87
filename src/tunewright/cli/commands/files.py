"""Commands about tuning files: make one, check one. What they do is in `do_files`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli.commands.shared import AsJson, File, JobName, Strict


def init(
    script: Annotated[
        Path, typer.Argument(metavar="SCRIPT", help="A training script that uses argparse, Click or Typer.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; '-' prints it. SCRIPT.yaml by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: AsJson = False,
) -> int | None:
    """Write a tuning file from a script's arguments.

    The script is read, never run.
    """
    from tunewright.cli.commands import do_files

    return do_files.init(script, output, force=force, as_json=as_json)


def validate(
    file: File,
    request: Annotated[bool, typer.Option("--request", help="Print the AMT request that the file stands for.")] = False,
    name: JobName = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> int | None:
    """Check a tuning file; nothing is started.

    Everything that is wrong with it is said at once.
    """
    from tunewright.cli.commands import do_files

    return do_files.validate(file, name, request=request, strict=strict, as_json=as_json)
