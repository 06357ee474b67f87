"""What a tuner that was started can be asked: how its tuning job stands, what came of it, how it looks."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from tunewright.core.space import Value
from tunewright.sdk.analytics import HyperparameterTuningJobAnalytics
from tunewright.sdk.errors import InvalidArguments, NoBestTrainingJob, NotStarted
from tunewright.sdk.estimators import EstimatorBase, no_hosting
from tunewright.sdk.extensions import replicates_in
from tunewright.sdk.facts import Row
from tunewright.sdk.render import card, one_line
from tunewright.sdk.replicated import ConfigurationResult, configuration_results, mean_of
from tunewright.sdk.request import Part
from tunewright.sdk.resuming import resume
from tunewright.sdk.revive import hyperparameters_of
from tunewright.sdk.session import Session
from tunewright.sdk.shapes import Shape
from tunewright.sdk.training import TrainingJob
from tunewright.sdk.tuning import TuningJob
from tunewright.sdk.values import natives, space_of

MAX_DRAWN = 2000


class Tuned:
    """A tuner's latest tuning job and its results.

    `HyperparameterTuner` says what these attributes are.
    """

    parts: list[Part]
    objective_type: str
    strategy: str
    max_jobs: int | None
    extensions: dict[str, object]
    latest_tuning_job: TuningJob | None

    @property
    def session(self) -> Session:
        """How the tuning job is reached."""
        raise NotImplementedError

    def wait(self) -> None:
        """Show the latest tuning job's progress until it ends.

        Raises:
            TuningJobFailed: the job ended Failed.
            KeyboardInterrupt: the user interrupted; the job goes on, `stop_tuning_job` stops it.
        """
        self._job().wait()

    def resume(self, add_jobs: int = 0, wait: bool = True) -> None:
        """Go on with the latest tuning job: one that was stopped, one that completed, or one that nobody runs.

        Args:
            add_jobs: training jobs to add to those that it may have, a multiple of `replicates`; for a job that has
                ended.
            wait: return when the job has ended; else at once, and the job goes on without this process.

        Raises:
            InvalidArguments: `add_jobs` is no whole number >= 0.
            WrongState: the job failed, is strict and has ended, or is a server's; or `add_jobs` does not go with it.
            TuningJobFailed: the job ended Failed.
            KeyboardInterrupt: the user interrupted; the job was asked to stop, if this process had taken it on.
        """
        job = self._job()
        mine = resume(self.session, job.name, add_jobs)
        if not mine:
            print(f"{job.name} is run by somebody already.", flush=True)
        if wait:
            job.watcher(owns=mine, resumed=True).run()
            return
        if mine:
            self.session.detach()
        print(f"{job.name} goes on without this process. Watch it: tunewright watch {job.name} | tuner.wait()")

    def stop_tuning_job(self) -> None:
        """Ask the latest tuning job to stop; one that has ended already is left alone."""
        self._job().stop()

    def describe(self) -> Shape:
        """DescribeHyperParameterTuningJob of the latest tuning job."""
        return self._job().describe()

    # ---- results ----

    def best_training_job(self) -> str:
        """The best training job's name so far. Raises NoBestTrainingJob."""
        return str(self._best()["TrainingJobName"])

    def best_params(self) -> dict[str, Value]:
        """The best training job's tuned values with their types. Raises NoBestTrainingJob."""
        best = self._best()
        return natives(self._part_of(best).ranges, best["TunedHyperParameters"])

    def best_value(self) -> float:
        """The best training job's objective, with replicates its configuration's mean. Raises NoBestTrainingJob."""
        best = self._best()
        several, name = self.replicates > 1, best["TrainingJobName"]
        value = mean_of(self.configurations(), name) if several else self.session.exact_value(best)
        if value is None:
            raise NoBestTrainingJob(self._job().name, "no value")
        return value

    @property
    def replicates(self) -> int:
        """How many training jobs each configuration gets."""
        return replicates_in(self.extensions)

    def configurations(self) -> list[ConfigurationResult]:
        """The configurations tried so far in launch order, each with the mean and spread of its training jobs."""
        summaries = self.session.summaries(self._job().name, SortBy="CreationTime", SortOrder="Ascending")
        rows = [(self.session.row(each), self._part_of(each).ranges) for each in summaries]
        return configuration_results([(row, natives(ranges, row.parameters)) for row, ranges in rows], self.replicates)

    def best_estimator(self, best_training_job: Mapping[str, Any] | str | None = None) -> EstimatorBase:
        """An estimator that stands for the best training job: its hyperparameters, its model, its log.

        Args:
            best_training_job: a training job's summary or name to use instead.

        Raises:
            InvalidArguments: it is neither, or no training job of this tuning job has the name.
            NoBestTrainingJob: no training job has a value yet.
        """
        best = self._best() if best_training_job is None else self._summary(best_training_job)
        part = self._part_of(best)
        job = TrainingJob(self.session, best["TrainingJobName"])
        return part.estimator.attached(job, hyperparameters_of(job.describe(), part.ranges))

    def analytics(self) -> HyperparameterTuningJobAnalytics:
        """The latest tuning job's training jobs as a table."""
        ranges = {part.name: space_of(part.ranges).parameters for part in self.parts}
        return HyperparameterTuningJobAnalytics(self._job().name, self.session, ranges=ranges)

    def deploy(self, *args: object, **kwargs: object) -> None:
        """There is no hosting here: says where the best model lies."""
        raise NotImplementedError(no_hosting(self.best_estimator().model_data if self.latest_tuning_job else None))

    # ---- how it looks ----

    def __repr__(self) -> str:
        if self.latest_tuning_job is None:
            jobs = "whole grid" if self.max_jobs is None else f"{self.max_jobs} jobs"
            objective = self.parts[0].objective_metric_name or "objective chosen by autotune"
            text = f"not started, {objective} {self.objective_type}, {self.strategy}, {jobs}"
            return f"<HyperparameterTuner: {text}>"
        try:
            return f"<HyperparameterTuner {one_line(self.describe())}>"
        except Exception as error:  # a look at something must not fail, whatever became of the job or the server
            return f"<HyperparameterTuner {self.latest_tuning_job.name}: cannot be described ({error})>"

    def _repr_html_(self) -> str | None:
        if self.latest_tuning_job is None:
            return None
        try:
            name = self.latest_tuning_job.name
            summaries = self.session.summaries(name, SortBy="CreationTime", SortOrder="Ascending")
            return card(self.describe(), [Row.of(each) for each in islice(summaries, MAX_DRAWN)])
        # Broad: a notebook asks for this at every look; without an answer it shows the text form, which says why.
        except Exception:
            return None

    # ---- inner ----

    def _job(self) -> TuningJob:
        if self.latest_tuning_job is None:
            raise NotStarted("tuner")
        return self.latest_tuning_job

    def _best(self) -> Shape:
        job = self.describe()
        best: Shape | None = job.get("BestTrainingJob")
        if best is None:
            succeeded = job.get("ObjectiveStatusCounters", {}).get("Succeeded", 0)
            raise NoBestTrainingJob(job["HyperParameterTuningJobName"], job["HyperParameterTuningJobStatus"], succeeded)
        return best

    def _summary(self, given: Mapping[str, Any] | str) -> Shape:
        """A training job's summary, from itself or from its name."""
        where = "best_training_job"
        if isinstance(given, Mapping) and "TrainingJobName" in given:
            return dict(given)
        if not isinstance(given, str):
            text = "is neither a training job's name nor its summary, such as describe()['BestTrainingJob']."
            raise InvalidArguments.one(where, f"{given!r} {text}")
        name = self._job().name
        for each in self.session.summaries(name):
            if each["TrainingJobName"] == given:
                return each
        text = f"is no training job of {name!r}; tuner.analytics().dataframe() lists them."
        raise InvalidArguments.one(where, f"{given!r} {text}")

    def _part_of(self, summary: Mapping[str, Any]) -> Part:
        name = summary.get("TrainingJobDefinitionName")
        return next((part for part in self.parts if part.name == name), self.parts[0])
