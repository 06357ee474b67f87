"""A training job that was started: its state, its log, its model."""

from __future__ import annotations

import codecs
import sys
from pathlib import Path
from typing import TextIO

from tunewright.executors.workdir import last_lines
from tunewright.sdk.errors import TrainingJobFailed
from tunewright.sdk.handle import LIVE, Handle
from tunewright.sdk.shapes import Shape

POLL_SECONDS = 1.0


class TrainingJob(Handle):
    """A training job by name."""

    def describe(self) -> Shape:
        """DescribeTrainingJob."""
        return self.session.describe_training_job(self.name)

    def stop(self) -> None:
        """StopTrainingJob."""
        self.session.client.stop_training_job(TrainingJobName=self.name)

    def model_data(self) -> str | None:
        """The URI of model.tar.gz, or None while there is none, and where `keep_best` removed it."""
        return self.describe().get("ModelArtifacts", {}).get("S3ModelArtifacts") or None

    def log(self, lines: int = 1000) -> str:
        """The last lines of its standard output, then of its standard error; empty when nothing was printed."""
        paths = self.session.log_paths(self.name)
        if paths is not None:
            return "\n".join(text for path in paths if (text := last_lines(path, lines)))
        tail = self.session.log_tail(self.name, lines)
        return tail.text if tail is not None else ""

    def wait(self, *, logs: bool = False, out: TextIO | None = None) -> Shape:
        """Return the description once the job is over, printing its log as it grows if asked to.

        Raises:
            TrainingJobFailed: it ended Failed.
        """
        log = _Log(self, out or sys.stdout) if logs else None
        while True:
            shape = self.describe()
            if log is not None:
                log.print_new()
            if shape["TrainingJobStatus"] not in LIVE:
                break
            self.session.wait(self.name, POLL_SECONDS, tuning=False)
        if shape["TrainingJobStatus"] == "Failed":
            tail = self.session.log_tail(self.name)
            raise TrainingJobFailed(self.name, shape.get("FailureReason", ""), self.name, tail)
        return shape


class _Log:
    """A log that is printed as it grows: both files by their bytes, or a server's as a window that moves on."""

    def __init__(self, job: TrainingJob, out: TextIO) -> None:
        self._job, self._out = job, out
        self._offsets: dict[Path, int] = {}
        self._decoders: dict[Path, codecs.IncrementalDecoder] = {}
        self._seen = ""

    def print_new(self) -> None:
        paths = self._job.session.log_paths(self._job.name)
        if paths is None:
            self._seen = _print_new(self._job.log(), self._seen, self._out)
        for path in paths or ():
            self._print_file(path)
        self._out.flush()

    def _print_file(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                content = file.read()
        except OSError:
            return
        self._offsets[path] = self._offsets.get(path, 0) + len(content)
        # A character may be written in two pieces.
        decoder = self._decoders.setdefault(path, codecs.getincrementaldecoder("utf-8")("replace"))
        self._out.write(decoder.decode(content))


def _print_new(text: str, seen: str, out: TextIO) -> str:
    """Print what follows what was seen (the text is a window that moves on as the log grows); what is seen now."""
    new = text
    if seen and text.startswith(seen):
        new = text[len(seen) :]
    elif seen:
        marks = ["\n".join(seen.splitlines()[-count:]) for count in (3, 2, 1)]
        found = next((mark for mark in marks if mark in text), None)
        new = text if found is None else text[text.rfind(found) + len(found) :]
    if seen:
        new = new.removeprefix("\n")
    if new.strip():
        out.write(new if new.endswith("\n") else new + "\n")
        out.flush()
    return text
