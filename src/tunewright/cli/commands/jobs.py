"""Commands that move a tuning job: run, watch, stop, resume, delete. What they do is in `do_jobs`."""

from __future__ import annotations

from typing import Annotated

import typer

from tunewright.cli.commands.shared import AsJson, Detach, File, JobName, Name, Quiet, Strict, Verbose, Voice


def run(
    file: File,
    name: JobName = None,
    detach: Detach = False,
    strict: Strict = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int | None:
    """Run a tuning file and tell what happens to the end."""
    from tunewright.cli.commands import do_jobs

    return do_jobs.run(file, name, Voice(as_json, quiet, verbose), detach=detach, strict=strict)


def watch(name: Name, as_json: AsJson = False, quiet: Quiet = False, verbose: Verbose = False) -> int | None:
    """Tell what happens in a tuning job; Ctrl-C only leaves."""
    from tunewright.cli.commands import do_jobs

    return do_jobs.watch(name, Voice(as_json, quiet, verbose))


def stop(
    name: Name,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Return when its training jobs have ended.")] = True,
    as_json: AsJson = False,
) -> int | None:
    """Stop a tuning job; resume goes on with it.

    No training job is started any more, and the running ones are ended.
    """
    from tunewright.cli.commands import do_jobs

    return do_jobs.stop(name, wait=wait, as_json=as_json)


def resume(
    name: Name,
    add_jobs: Annotated[int, typer.Option("--add-jobs", min=0, help="Run this many more training jobs.")] = 0,
    detach: Detach = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int | None:
    """Go on with a tuning job.

    One that was stopped or has completed goes on; one that nobody runs is taken over.
    """
    from tunewright.cli.commands import do_jobs

    return do_jobs.resume(name, add_jobs, Voice(as_json, quiet, verbose), detach=detach)


def delete(name: Name, as_json: AsJson = False) -> int | None:
    """Delete a tuning job that has ended.

    Its training jobs, logs and models stay.
    """
    from tunewright.cli.commands import do_jobs

    return do_jobs.delete(name, as_json=as_json)
