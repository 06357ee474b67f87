"""State changes told to the outside, in the form in which EventBridge tells SageMaker's.

Each change of a tuning job's or a training job's status becomes one JSON object: a line of a file, or the body of
a POST to a webhook. Telling never holds up a job: what cannot be delivered is tried again a few times, later each
time, then logged and left. A webhook hears of events in their order, of some of them twice when its answer is lost. A
process that ends waits a moment for those that are still on their way.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from tunewright.aws.sagemaker.names import Arns
from tunewright.aws.sagemaker.protocol import Wire
from tunewright.aws.sagemaker.translate_job import describe_job
from tunewright.aws.sagemaker.translate_trial import describe_trial, wire_status
from tunewright.control.clock import pause
from tunewright.core.errors import Invalid, NotFound
from tunewright.core.job import Job
from tunewright.core.ports import Store
from tunewright.core.reads import Reads, TrialView
from tunewright.core.trial import Trial

TUNING = "SageMaker HyperParameter Tuning Job State Change"
TRAINING = "SageMaker Training Job State Change"
WAITING = 10_000
"""Events that may wait for a webhook; later ones are dropped with a word in the log."""
POST_SECONDS = 5.0
CLOSE_SECONDS = 5.0
"""How long the end of a process waits for webhooks in all; what they have not heard then is logged."""
PAUSES = (1.0, 3.0, 9.0)
"""Seconds before each further try of a webhook that is out of reach, busy (429) or broken (5xx)."""
_TIMES = ("Time", "Timestamp")
_LOG = logging.getLogger("tunewright")


class Announcer:
    """Called with a job before and after a commit, and the training jobs that it wrote."""

    def __init__(self, store: Store, reads: Reads, arns: Arns, targets: Sequence[Target]) -> None:
        self._store, self._reads, self._arns, self._targets = store, reads, arns, targets

    def __call__(self, before: Job | None, after: Job, trials: Sequence[Trial]) -> None:
        live = {} if before is None else {**before.live, **before.paused}
        moved = after.spec.tuning and (before is None or before.status is not after.status)
        # It begins before its training jobs do, and ends after them.
        if moved and not after.status.terminal:
            self._tell(TUNING, self._arns.tuning(after.name), self._job(after), after.updated)
        for trial in trials:
            old = live.get(trial.number)
            if old is None or wire_status(old) != wire_status(trial):
                self._tell(TRAINING, self._arns.training(trial.name), self._trial(after, trial), after.updated)
        if moved and after.status.terminal:
            self._tell(TUNING, self._arns.tuning(after.name), self._job(after), after.updated)

    def close(self) -> None:
        """Wait for what is on its way, a few seconds at most."""
        deadline = time.monotonic() + CLOSE_SECONDS
        for target in self._targets:
            target.close(max(0.0, deadline - time.monotonic()))

    def _job(self, job: Job) -> Wire:
        told = describe_job(job, None, None, job.updated, self._arns)
        kept = ("TrainingJobDefinition", "TrainingJobDefinitions", "CreationTime", "LastModifiedTime")
        detail = {name: value for name, value in told.items() if name.startswith("HyperParameterTuningJob")}
        del detail["HyperParameterTuningJobConfig"]
        detail |= {name: told[name] for name in kept if name in told}
        counters = ("TrainingJobStatusCounters", "ObjectiveStatusCounters")
        return {**detail, **{name: told[name] for name in counters}, "Tags": self._tags("tuning", job.name)}

    def _trial(self, job: Job, trial: Trial) -> Wire:
        view = TrialView(trial, job.uid, job.name, job.spec, job.updated)
        told = describe_trial(view, self._reads.metrics(trial.name), self._arns)
        return {**told, "Tags": self._tags("training", trial.name)}

    def _tags(self, kind: str, name: str) -> dict[str, str]:
        try:
            return self._store.tags(kind, name)
        except NotFound:
            return {}

    def _tell(self, kind: str, arn: str, detail: Wire, at: float) -> None:
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": kind,
            "source": "aws.sagemaker",
            "account": self._arns.account,
            "time": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._arns.region,
            "resources": [arn],
            "detail": _milliseconds(detail),
        }
        line = json.dumps(event, allow_nan=False, separators=(",", ":"))
        for target in self._targets:
            try:
                target(line)
            except OSError as error:
                _LOG.warning("a state change could not be told: %s", error)


def _milliseconds(value: Any, name: str = "") -> Any:
    """A value with its times in whole milliseconds since the epoch, and without what is not there."""
    if isinstance(value, Mapping):
        return {key: _milliseconds(inner, key) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_milliseconds(inner) for inner in value]
    return round(value * 1000) if isinstance(value, float) and name.endswith(_TIMES) else value


class Target(Protocol):
    """Who is told."""

    def __call__(self, line: str) -> None:
        """Tell one event. Raises OSError."""

    def close(self, seconds: float) -> None:
        """Wait for what is on its way, so long at most."""


class File:
    """Appends one line an event; several processes may write to the same file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, line: str) -> None:
        with open(self._path, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(line.encode() + b"\n")

    def close(self, seconds: float) -> None:
        """Nothing is on its way."""


class Webhook:
    """Posts events in their order from a thread of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        # What follows the host is often a secret: it stays out of the log.
        self._shown = f"the webhook at {urlsplit(url).netloc.rpartition('@')[2]}"
        self._queue: queue.Queue[str] = queue.Queue(WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self, line: str) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._deliver, name="tunewright-webhook", daemon=True)
                self._thread.start()
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            _LOG.warning("%s does not keep up; a state change is not told to it", self._shown)

    def close(self, seconds: float) -> None:
        """Wait for what is on its way, so long at most."""
        waiting = self._queue
        with waiting.all_tasks_done:
            told = waiting.all_tasks_done.wait_for(lambda: not waiting.unfinished_tasks, seconds)
        if not told:
            _LOG.warning("%s was not told %d state changes before the end", self._shown, waiting.unfinished_tasks)

    def _deliver(self) -> None:
        while True:
            line = self._queue.get()
            trouble = self._post(line)
            for seconds in PAUSES:
                if trouble is None or not trouble.passing:
                    break
                pause(seconds)
                trouble = self._post(line)
            if trouble is not None:
                _LOG.warning("%s did not take a state change: %s", self._shown, trouble.why)
            self._queue.task_done()

    def _post(self, line: str) -> _Trouble | None:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url, line.encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=POST_SECONDS):
                return None
        except HTTPError as error:
            with error:
                return _Trouble(f"it answered {error.code}", error.code == 429 or error.code >= 500)
        except (URLError, OSError, HTTPException) as error:
            return _Trouble(str(error), passing=True)
        except ValueError as error:
            return _Trouble(str(error), passing=False)


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why a webhook did not take an event, and whether it may take it later."""

    why: str
    passing: bool


def targets_of(setting: str, home: Path) -> list[Target]:
    """The files and webhooks of a setting such as `events.jsonl,http://127.0.0.1:9000/hook`.

    Raises:
        Invalid: an address of another kind than http and https, or one that cannot be read.
    """
    targets: list[Target] = []
    for part in filter(None, (part.strip() for part in setting.split(","))):
        if part.startswith(("http://", "https://")):
            try:
                targets.append(Webhook(part))
            except ValueError as error:
                text = f"{part!r} cannot be read as an address ({error}); give one such as http://127.0.0.1:9000/hook."
                raise Invalid.one("events", text) from error
        elif "://" in part:
            raise Invalid.one("events", f"{part!r} is neither a file's path nor an http or https address.")
        else:
            targets.append(File(home / Path(part).expanduser()))
    return targets
