"""The command tree. Commands live by kind in `commands/`; what they need is imported when they run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

import typer

from tunewright.cli.about import about
from tunewright.cli.commands import files as commands_files
from tunewright.cli.commands import jobs as commands_jobs
from tunewright.cli.commands import look as commands_look
from tunewright.cli.commands import serve as commands_serve
from tunewright.cli.commands import tools as commands_tools
from tunewright.cli.commands.shared import guarded
from tunewright.cli.out import no_room, settle, warn
from tunewright.core.errors import FULL_DISK

app = typer.Typer(
    name="tunewright",
    help="Hyperparameter tuning as Amazon SageMaker Automatic Model Tuning does it, on your own machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS: dict[str, Callable[..., int | None]] = {
    "run": commands_jobs.run,
    "init": commands_files.init,
    "validate": commands_files.validate,
    "list": commands_look.list_jobs,
    "describe": commands_look.describe,
    "jobs": commands_look.jobs,
    "best": commands_look.best,
    "logs": commands_tools.logs,
    "watch": commands_jobs.watch,
    "stop": commands_jobs.stop,
    "resume": commands_jobs.resume,
    "delete": commands_jobs.delete,
    "export": commands_look.export,
    "serve": commands_serve.serve,
    "env": commands_serve.env,
    "test-metric": commands_tools.test_metric,
    "replay": commands_tools.replay,
    "doctor": commands_tools.doctor,
}
for name, command in COMMANDS.items():
    app.command(name)(guarded(command))


def _version(asked: bool) -> None:
    if asked:
        print(about())
        raise typer.Exit


@app.callback()
def everywhere(
    version: bool = typer.Option(
        False, "--version", "-V", callback=_version, is_eager=True, help="Print the version and leave."
    ),
) -> None:
    """Hyperparameter tuning as Amazon SageMaker Automatic Model Tuning does it, on your own machine."""


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code: 0 completed, 1 failed, 2 wrong usage or invalid request, 130 interrupted."""
    code, refused = 0, ""
    for name in ("stdout", "stderr"):
        # One that was closed before Python began is None, which is no file: what is said goes nowhere instead.
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
    try:
        app(args=list(arguments), prog_name="tunewright")
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        refused = str(error) if error.filename else no_room(error)
    if refused := refused or settle():
        warn(f"Error: {refused}")
    return code or (2 if refused else 0)
