"""A client, and beside it what AMT has no answer for: log tails, exact values, uploads, waiting, functions.

Everything that the Python face says goes through a botocore SageMaker client. A `Session` joins one with the
process's own `Local` when the client is answered in this process, and with its server's S3 and log service
when it is not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from tunewright.control.clock import SteadyClock, pause
from tunewright.core.errors import NotFound
from tunewright.core.history import History
from tunewright.core.job import Job
from tunewright.core.ports import Objects
from tunewright.core.reads import JobView, LogTail, Reads
from tunewright.core.spec import Function
from tunewright.core.trial import TrialStatus
from tunewright.executors.workdir import end_of_log
from tunewright.sdk.errors import InvalidArguments
from tunewright.sdk.facts import Row, Running, cause_told
from tunewright.sdk.inherited import inherited, line
from tunewright.sdk.shapes import Shape
from tunewright.settings import Settings

BUCKET = "tunewright"
REMOTE_POLL_SECONDS = 5.0


class Paginator(Protocol):
    def paginate(self, **arguments: Any) -> Iterable[Shape]: ...


class Client(Protocol):
    """The part of botocore's SageMaker client that is used here."""

    @property
    def exceptions(self) -> Any: ...
    def create_hyper_parameter_tuning_job(self, **request: Any) -> Shape: ...
    def describe_hyper_parameter_tuning_job(self, **request: Any) -> Shape: ...
    def stop_hyper_parameter_tuning_job(self, **request: Any) -> Shape: ...
    def create_training_job(self, **request: Any) -> Shape: ...
    def describe_training_job(self, **request: Any) -> Shape: ...
    def stop_training_job(self, **request: Any) -> Shape: ...
    def get_paginator(self, operation: str) -> Paginator: ...


class Local(Protocol):
    """This process's own engine, as `tunewright.assembly.local` gives it."""

    @property
    def client(self) -> Client: ...
    @property
    def reads(self) -> Reads: ...
    @property
    def objects(self) -> Objects: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def strict(self) -> bool: ...
    def log_paths(self, training_job: str) -> tuple[Path, Path]: ...
    def history(self, uid: str) -> History: ...
    def store_function(self, function: Callable[..., object]) -> Function: ...
    def start(self) -> None: ...
    def wait(self, name: str, timeout: float, *, tuning: bool = True) -> None: ...
    def detach(self) -> None: ...
    def hurry(self, name: str) -> None: ...
    def resume(self, name: str, add_jobs: int = 0) -> JobView: ...
    def in_charge(self, view: JobView) -> bool: ...


class Stores(Protocol):
    """S3 and logs of the server that a remote client talks to."""

    def put_file(self, source: Path, bucket: str, key: str) -> None: ...
    def log_tail(self, training_job: str, lines: int) -> LogTail | None: ...
    def curve(self, training_job: str, metric: str, start: datetime, end: datetime) -> list[tuple[float, float]]: ...


class Session:
    """How a tuner or an estimator reaches the engine.

    Args:
        client: a botocore SageMaker client; None is the one answered in this process.
        strict: AMT to the letter: local names are uploaded and named `s3://`, our extensions are not sent.
        local: the engine of this process when `client` is answered by it; found when `client` is None.
    """

    def __init__(self, client: Client | None = None, *, strict: bool = False, local: Local | None = None) -> None:
        if client is None and local is None:
            local = _clients().engine(strict)
        self.local = local
        self.strict = strict
        self._client = client
        self._stores: Stores | None = None
        if local is None and client is not None:
            self._stores = _clients().Remote(client)

    @classmethod
    def of(cls, client: Client | None, *, strict: bool) -> Session:
        """The session of a client, with this process's engine behind it when the client is answered by it."""
        if client is None:
            return cls(strict=strict)
        engine: Local | None = _clients().behind(client)
        return cls(client, strict=strict or (engine is not None and engine.strict), local=engine)

    @property
    def client(self) -> Client:
        if self._client is not None:
            return self._client
        assert self.local is not None, "a session has a client or an engine"
        return self.local.client

    @property
    def uploads(self) -> bool:
        """Whether local names are copied to `s3://` rather than named by `file://`."""
        return self.strict or self.local is None

    @property
    def output_path(self) -> str:
        """Where models go when the estimator names no place."""
        if self.uploads or self.local is None:
            return f"s3://{BUCKET}/output"
        return (self.local.settings.home / "output").as_uri()

    def put_file(self, source: Path, key: str) -> str:
        """Upload one file below the default bucket; its `s3://` name."""
        uri = f"s3://{BUCKET}/{key}"
        if self.local is not None:
            self.local.objects.put_file(source, uri)
        elif self._stores is not None:
            self._stores.put_file(source, BUCKET, key)
        return uri

    def put_tree(self, source: Path, key: str) -> str:
        """Upload a file, or every file of a directory, below a prefix of the default bucket; its `s3://` name."""
        if source.is_file():
            return self.put_file(source, f"{key}/{source.name}")
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            self.put_file(path, f"{key}/{path.relative_to(source).as_posix()}")
        return f"s3://{BUCKET}/{key}/"

    def store_function(self, function: Callable[..., object]) -> Function:
        """Make a Python function known to the workers of this machine.

        Raises:
            InvalidArguments: the client is a remote one, which cannot be given functions.
        """
        if self.local is None:
            raise InvalidArguments.one(
                "function", "a server cannot be given Python functions; use Estimator with a script, or run in process."
            )
        return self.local.store_function(function)

    def log_tail(self, training_job: str, lines: int = 20) -> LogTail | None:
        """The end of a training job's log, in process as `end_of_log` gives it; None when there is none to be had."""
        if self.local is None:
            return self._stores.log_tail(training_job, lines) if self._stores is not None else None
        paths = self.log_paths(training_job)
        return None if paths is None else end_of_log(paths, lines)

    def log_paths(self, training_job: str) -> tuple[Path, Path] | None:
        """The files of a training job's standard output and standard error; None where they are a server's."""
        try:
            return None if self.local is None else self.local.log_paths(training_job)
        except NotFound:
            return None

    def start(self) -> None:
        """Make sure that somebody runs the jobs of this process's store."""
        if self.local is not None:
            self.local.start()

    def detach(self) -> None:
        """Leave a controller behind that outlives this process; a server needs none."""
        if self.local is not None:
            self.local.detach()

    def hurry(self, name: str) -> None:
        """End a job's training programs at once, where this process can; a server keeps its grace."""
        if self.local is not None:
            self.local.hurry(name)

    def wait(self, name: str, timeout: float, *, tuning: bool = True) -> None:
        """Return when the job changed, or after `timeout` seconds (a server is asked less often)."""
        if self.local is None:
            pause(max(timeout, REMOTE_POLL_SECONDS))
            return
        try:
            self.local.wait(name, timeout, tuning=tuning)
        except NotFound:  # a training job of a tuning job is not a job of its own
            pause(min(timeout, 0.2))

    def describe(self, name: str) -> Shape:
        """DescribeHyperParameterTuningJob."""
        return self.client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)

    def describe_training_job(self, name: str) -> Shape:
        """DescribeTrainingJob."""
        return self.client.describe_training_job(TrainingJobName=name)

    def summaries(self, name: str, **arguments: Any) -> Iterable[Shape]:
        """The training jobs of a tuning job, page by page, as ListTrainingJobsForHyperParameterTuningJob."""
        paginator = self.client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
        arguments = {"PaginationConfig": {"PageSize": 100}, **arguments}
        for page in paginator.paginate(HyperParameterTuningJobName=name, **arguments):
            yield from page["TrainingJobSummaries"]

    def _job(self, name: str) -> Job | None:
        """A tuning job as our own reads know it; None where only the wire can be asked."""
        if self.local is None:
            return None
        try:
            return self.local.reads.job(name).job
        except NotFound:
            return None

    def is_strict(self, name: str) -> bool:
        """Whether a tuning job was made in strict mode; where only the wire can be asked, whether this session is."""
        job = self._job(name)
        return self.strict if job is None else job.spec.strict

    def total(self, name: str, told: int | None) -> int | None:
        """The training jobs that a tuning job may have in all, added ones too; `told` where only a server knows."""
        job = self._job(name)
        return told if job is None else job.budget

    def ending(self, name: str) -> str:
        """Why a tuning job ended, in words, where our own reads know it; else an empty text."""
        job = self._job(name)
        return job.ending.why if job is not None and job.ending is not None else ""

    def warm_start(self, name: str) -> str:
        """What the parents of a tuning job gave it, in a line; empty without parents, and where only a server knows."""
        job = self._job(name)
        if job is None or self.local is None:
            return ""
        return line(job, inherited(job, self.local.reads, self.local.history))

    def exact_value(self, summary: Mapping[str, Any]) -> float | None:
        """The final objective in a training job's summary: float64 where our own reads know it, else the wire's."""
        return self.row(summary).value

    def row(self, summary: Mapping[str, Any]) -> Row:
        """A training job's summary as progress sees it, with what our own reads know better."""
        trial = None
        if self.local is not None:
            with contextlib.suppress(NotFound):
                trial = self.local.reads.trial(summary["TrainingJobName"]).trial
        if trial is None:
            return Row.of(summary)
        why = trial.reason if trial.status is TrialStatus.FAILED else trial.objective_reason
        return Row.of(summary, trial.value, reason=why, ran=trial.ran, cause=trial.cause)

    def curves(self, training_job: str, metrics: Iterable[str] | None = None) -> dict[str, list[tuple[float, float]]]:
        """A training job's values by metric: seconds since the training began, and the value.

        Args:
            metrics: those that are wanted; None is all of them.

        Raises:
            NotFound: there is no such training job; a server's answer is botocore's ClientError.
        """
        if self.local is not None:
            reads = self.local.reads
            trial = reads.trial(training_job).trial
            began = trial.created if trial.started is None else trial.started
            names = [each.metric for each in reads.metrics(training_job)] if metrics is None else metrics
            return {name: [(p.at - began, p.value) for p in reads.curve(training_job, name)] for name in names}
        told = self.describe_training_job(training_job)
        start: datetime = told.get("TrainingStartTime") or told["CreationTime"]
        end: datetime = told.get("TrainingEndTime") or datetime.fromtimestamp(SteadyClock().now(), UTC)
        names = [each["MetricName"] for each in told.get("FinalMetricDataList", [])] if metrics is None else metrics
        assert self._stores is not None, "a session has an engine or a server"
        return {name: self._stores.curve(training_job, name, start, end) for name in names}

    def with_cause(self, row: Row) -> Row:
        """The row with why it was stopped; where only the wire can be asked, by one question for each stopped one."""
        if row.status != "Stopped" or row.cause is not None:
            return row
        try:
            return replace(row, cause=cause_told(self.describe_training_job(row.name)))
        except self.client.exceptions.ClientError:  # deleted meanwhile
            return row

    def paused(self, name: str) -> int:
        """How many training jobs of a tuning job are paused; 0 where only the wire can be asked."""
        job = self._job(name)
        return 0 if job is None else len(job.paused)

    def running(self, name: str) -> list[Running]:
        """The live training jobs of a tuning job; by name alone where only the wire can be asked."""
        if self.local is None:
            return [Running(summary["TrainingJobName"]) for summary in self.summaries(name, StatusEquals="InProgress")]
        job = self._job(name)
        live = [] if job is None else job.live.values()
        return [Running(trial.name, trial.last, trial.epoch, trial.started, trial.status.value) for trial in live]


def _clients() -> Any:
    from tunewright.sdk import clients  # brings the whole engine and botocore

    return clients
