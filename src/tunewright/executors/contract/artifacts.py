"""What a training program leaves behind: packed, stored under the output path, and cleared away."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tunewright.core.errors import Invalid
from tunewright.core.ports import Objects, Task
from tunewright.core.trial import Failure
from tunewright.executors.contract import packing
from tunewright.executors.contract.prepare import keep_checkpoints
from tunewright.executors.patience import patiently
from tunewright.executors.reasons import Refused
from tunewright.executors.workdir import Workdir

FULL_SECONDS = 120.0
"""How long storing waits for room on a disk that is full: a model may be larger than all the room there ever is."""


def store(task: Task, workdir: Workdir, objects: Objects, *, failed: bool = False) -> str:
    """Store the model and further output below `<output path>/<training job>/output`; the model's URI.

    `model/` becomes model.tar.gz (with CompressionType NONE its files are stored below `model/`), `output/data`
    becomes output.tar.gz unless it is empty. A failed program's empty model is not stored.

    What the system refuses is tried again for a while.

    Returns:
        The URI of the model; "" when nothing was stored.

    Raises:
        Refused: storing failed.
    """
    if not task.training.output_path:
        return ""
    base = f"{task.training.output_path.rstrip('/')}/{task.name}/output"
    try:
        return patiently(lambda: _stored(task, workdir, objects, base, failed=failed), full=FULL_SECONDS)
    except (OSError, Invalid) as error:
        raise Refused(Failure.CLIENT, f"The artifacts could not be stored under {base}: {error}") from error


def _stored(task: Task, workdir: Workdir, objects: Objects, base: str, *, failed: bool) -> str:
    """One try; what it has stored already it stores again, or finds stored."""
    keep_checkpoints(task, workdir, objects)
    if not packing.is_empty(workdir.output_data):
        _put(workdir.output_data, workdir.at("output.tar.gz"), f"{base}/output.tar.gz", objects)
    if failed and packing.is_empty(workdir.model):
        return ""
    if task.training.compression == "NONE":
        objects.put_tree(Path(workdir.model), f"{base}/model", move=True)
        return f"{base}/model/"
    _put(workdir.model, workdir.at("model.tar.gz"), f"{base}/model.tar.gz", objects)
    return f"{base}/model.tar.gz"


def discard(task: Task, model: str, workdir: Workdir, objects: Objects) -> None:
    """Remove the model and the checkpoints of a training job that is over; its log and further output stay.

    Args:
        model: the URI that `store` gave.

    Raises:
        Invalid: the URI is not of this training job.
        OSError: something cannot be removed.
    """
    if model:
        base = f"{task.training.output_path.rstrip('/')}/{task.name}/output/"
        if not model.startswith(base):
            raise Invalid.one(model, f"is no model of {task.name}, whose output lies under {base}; it is left alone.")
        objects.remove(model)
    if task.checkpoint_uri is not None and task.checkpoint_uri.endswith(f"/{task.name}"):
        objects.remove(task.checkpoint_uri)
        with contextlib.suppress(FileNotFoundError):
            if not os.path.islink(workdir.checkpoints):
                _empty(workdir.checkpoints)


def _put(directory: str, archive: str, uri: str, objects: Objects) -> None:
    try:
        packing.pack(directory, archive)
    except OSError:
        with contextlib.suppress(OSError):  # half an archive takes room that may be what is lacking
            os.unlink(archive)
        raise
    objects.put_file(Path(archive), uri, move=True)


def clear(workdir: Workdir, *, inputs_only: bool) -> None:
    """Give back the room of what is stored elsewhere; logs, configuration and checkpoints stay.

    Args:
        inputs_only: keep code, model and output too, for a look at what went wrong.
    """
    kept = [] if inputs_only else [workdir.model, workdir.output_data, workdir.code]
    for directory in (workdir.data, workdir.at("pipe"), *kept):
        # One that the program replaced by a link leads to what is not ours.
        if not os.path.islink(directory):
            with contextlib.suppress(OSError):
                _empty(directory)


def _empty(directory: str) -> None:
    """Remove what a directory holds, not following links."""
    os.chmod(directory, 0o700)  # FastFile channels may be closed to writing
    with os.scandir(directory) as entries:
        found = list(entries)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            _empty(entry.path)
            os.rmdir(entry.path)
        else:
            os.unlink(entry.path)
