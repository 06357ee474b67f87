"""What every command shares: how its errors become exit codes, and the options that several have."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from tunewright.cli.out import error_text, hush, warn
from tunewright.core.errors import TunewrightError

FAILED, WRONG, INTERRUPTED = 1, 2, 130

Given = ParamSpec("Given")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The tuning job's name.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="The tuning file (YAML, TOML or JSON).")]
JobName = Annotated[str | None, typer.Option("--name", help="The tuning job's name, whatever the file says.")]
Detach = Annotated[bool, typer.Option("--detach", help="Leave the job to a controller in the background.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON with AMT's member names.")]
Strict = Annotated[bool, typer.Option("--strict", help="AMT to the letter, limits included.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only new bests, failures and the end.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also each start and each reported value.")]


@dataclass(frozen=True, slots=True)
class Voice:
    """How a command that follows a job is to talk."""

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False


_DRIVERS = {("sqlite3", "Error"), ("psycopg", "Error")}


def guarded(function: Callable[Given, int | None]) -> Callable[Given, None]:
    """A command whose errors are printed on standard error and become exit codes."""

    @functools.wraps(function)
    def run(*arguments: Given.args, **options: Given.kwargs) -> None:
        try:
            code = function(*arguments, **options)
        except TunewrightError as error:
            warn(f"Error: {error_text(error)}")
            code = WRONG
        except BrokenPipeError:
            hush()
            code = 0  # whoever read the output has seen enough
        except KeyboardInterrupt:
            code = INTERRUPTED
        # Broad: to name the classes of botocore and of databases would import these at every start. Others are raised.
        except Exception as error:
            if (text := _refusal(error)) is not None:
                code = WRONG
            elif (text := _unreachable(error)) is not None:
                code = FAILED
            else:
                raise
            warn(f"Error: {text}")
        if code:
            raise typer.Exit(code)

    return run


def _refusal(error: Exception) -> str | None:
    """The message of a refused request, whether a client or the service itself raised it; None for anything else."""
    faults, exceptions = sys.modules.get("tunewright.aws.faults"), sys.modules.get("botocore.exceptions")
    if faults is not None and isinstance(error, faults.Fault):
        return _listed(error.message, error.code)
    if exceptions is not None and isinstance(error, exceptions.ClientError):
        found: dict[str, str] = error.response.get("Error", {})
        return _listed(found.get("Message", str(error)), found.get("Code", "unknown"))
    if exceptions is not None and isinstance(error, exceptions.ParamValidationError):
        return str(error)
    return None


def _unreachable(error: Exception) -> str | None:
    """What to say when the store cannot be used; None for anything else."""
    database = sys.modules.get("sqlalchemy.exc")
    ours = database is not None and isinstance(error, database.SQLAlchemyError)
    # Most questions are put to the driver itself.
    if not ours and not any((kind.__module__, kind.__name__) in _DRIVERS for kind in type(error).__mro__):
        return None
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()
    return f"the store cannot be used: {reason[0] if reason else type(error).__name__}; see tunewright doctor"


def _listed(message: str, code: str) -> str:
    """A refusal with one problem a line."""
    head, many, rest = message.partition(" validation errors detected: ")
    if not many:
        return f"{message} ({code})"
    return "\n  ".join([f"{head} problems ({code}):", *rest.split("; ")])
