"""A tuning job's training jobs, and a training job's metrics, as tables with the names and columns of SDK v2."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tunewright.core.errors import TunewrightWarning
from tunewright.core.space import CategoricalParameter, IntegerParameter, Parameter
from tunewright.sdk.session import Client, Session
from tunewright.sdk.shapes import Shape
from tunewright.sdk.values import natives, ranges_from

if TYPE_CHECKING:
    import pandas


class Analytics(ABC):
    """A table that is kept once it was made, until `clear_cache` or `force_refresh`."""

    def __init__(self, name: str, session: Session) -> None:
        self.name = name
        self._session = session
        self.clear_cache()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self.name}>"

    def clear_cache(self) -> None:
        """Forget what was fetched."""
        self._table: pandas.DataFrame | None = None

    def dataframe(self, force_refresh: bool = False) -> pandas.DataFrame:
        """The table; `force_refresh` fetches it anew."""
        if force_refresh:
            self.clear_cache()
        if self._table is None:
            self._table = self._make_table()
        return self._table

    def export_csv(self, filename: str | os.PathLike[str]) -> None:
        """Write the table to a file."""
        self.dataframe().to_csv(filename, index=False)

    @abstractmethod
    def _make_table(self) -> pandas.DataFrame:
        """Fetch it."""


class TrainingJobAnalytics(Analytics):
    """The metrics of one training job, value by value.

    In process these are the values that it reported. Where only a server can be asked they are those of its
    CloudWatch: of values in the same second their mean, without those that are NaN or infinite.

    Args:
        training_job_name: a training job, of a tuning job or plain.
        metric_names: the metrics wanted; None is all of them.
        session: how it is reached; None is this process's own.
    """

    def __init__(
        self,
        training_job_name: str,
        metric_names: Sequence[str] | str | None = None,
        session: Session | None = None,
        *,
        client: Client | None = None,
        strict: bool = False,
    ) -> None:
        self._metrics = [metric_names] if isinstance(metric_names, str) else metric_names
        super().__init__(training_job_name, session or Session.of(client, strict=strict))

    def dataframe(self, force_refresh: bool = False) -> pandas.DataFrame:
        """One row per value: metric by metric, each in the order of emission.

        Columns: timestamp (seconds since the training began), metric_name, value.

        Warns:
            TunewrightWarning: of metrics that have no value.
        """
        return super().dataframe(force_refresh)

    def _make_table(self) -> pandas.DataFrame:
        import pandas  # a second of import, for those who ask for a table

        curves = self._session.curves(self.name, self._metrics)
        for name in (name for name, curve in curves.items() if not curve):
            warnings.warn(f"The training job {self.name} has no values of {name!r}.", TunewrightWarning, stacklevel=4)
        rows = [(at, name, value) for name, curve in curves.items() for at, value in curve]
        return pandas.DataFrame(rows, columns=["timestamp", "metric_name", "value"])


class HyperparameterTuningJobAnalytics(Analytics):
    """The results of one tuning job. What was fetched is kept until `clear_cache` or `force_refresh`.

    Args:
        hyperparameter_tuning_job_name: the tuning job.
        session: how it is reached; None is this process's own.
        ranges: parameters by name, per definition (None: the only one), for values with their types.
    """

    def __init__(
        self,
        hyperparameter_tuning_job_name: str,
        session: Session | None = None,
        *,
        ranges: Mapping[str | None, Mapping[str, Parameter]] | None = None,
        client: Client | None = None,
        strict: bool = False,
    ) -> None:
        self._ranges = ranges
        super().__init__(hyperparameter_tuning_job_name, session or Session.of(client, strict=strict))

    def clear_cache(self) -> None:
        """Forget what was fetched."""
        super().clear_cache()
        self._description: Shape | None = None
        self._summaries: list[Shape] | None = None

    def description(self, force_refresh: bool = False) -> Shape:
        """DescribeHyperParameterTuningJob."""
        if self._description is None or force_refresh:
            self._description = self._session.describe(self.name)
        return self._description

    def training_job_summaries(self, force_refresh: bool = False) -> list[Shape]:
        """Every training job as ListTrainingJobsForHyperParameterTuningJob tells of it."""
        if self._summaries is None or force_refresh:
            self._summaries = list(self._session.summaries(self.name))
        return self._summaries

    @property
    def tuning_ranges(self) -> Shape:
        """The ranges by parameter name; by definition and name when the job has several definitions."""
        job = self.description()
        if "TrainingJobDefinitions" not in job:
            return _by_name(job["HyperParameterTuningJobConfig"].get("ParameterRanges", {}))
        definitions = job["TrainingJobDefinitions"]
        return {each["DefinitionName"]: _by_name(each.get("HyperParameterRanges", {})) for each in definitions}

    def dataframe(self, force_refresh: bool = False) -> pandas.DataFrame:
        """One row per training job.

        Columns: the tuned hyperparameters with their types (int64 for integers), TrainingJobName,
        TrainingJobStatus, FinalObjectiveValue, TrainingStartTime, TrainingEndTime, TrainingElapsedTimeSeconds,
        and TrainingJobDefinitionName when the job has several definitions.
        """
        return super().dataframe(force_refresh)

    def _make_table(self) -> pandas.DataFrame:
        import pandas

        ranges = self._parameters()
        rows = [self._row(summary, ranges) for summary in self.training_job_summaries()]
        table = pandas.DataFrame(rows)
        if rows:
            # Without any value the column would hold None, and no number to compute with.
            table["FinalObjectiveValue"] = table["FinalObjectiveValue"].astype("float64")
        for name, parameter in (each for named in ranges.values() for each in named.items()):
            if name in table.columns and isinstance(parameter, IntegerParameter):
                table[name] = table[name].astype("Int64" if table[name].isna().any() else "int64")
        return table

    def _parameters(self) -> Mapping[str | None, Mapping[str, Parameter]]:
        """The job's ranges; categories with the types that the tuner of this process knows."""
        job = self.description()
        definitions = job.get("TrainingJobDefinitions")
        found: dict[str | None, dict[str, Parameter]] = {}
        if definitions is None:
            found[None] = ranges_from(job["HyperParameterTuningJobConfig"].get("ParameterRanges", {}))
        for each in definitions or []:
            found[each["DefinitionName"]] = ranges_from(each.get("HyperParameterRanges", {}))
        for definition, named in (self._ranges or {}).items():
            known = {name: each for name, each in named.items() if isinstance(each, CategoricalParameter)}
            found.setdefault(definition, {}).update(known)
        return found

    def _row(self, summary: Shape, ranges: Mapping[str | None, Mapping[str, Parameter]]) -> dict[str, Any]:
        definition = summary.get("TrainingJobDefinitionName")
        named = ranges.get(definition) or ranges.get(None, {})
        started: datetime | None = summary.get("TrainingStartTime")
        ended: datetime | None = summary.get("TrainingEndTime")
        row: dict[str, Any] = {
            **natives(named, summary.get("TunedHyperParameters", {})),
            "TrainingJobName": summary["TrainingJobName"],
            "TrainingJobStatus": summary["TrainingJobStatus"],
            "FinalObjectiveValue": self._session.exact_value(summary),
            "TrainingStartTime": started,
            "TrainingEndTime": ended,
            "TrainingElapsedTimeSeconds": _seconds(started, ended),
        }
        if definition is not None:
            row["TrainingJobDefinitionName"] = definition
        return row


def _seconds(started: datetime | None, ended: datetime | None) -> float | None:
    return None if started is None or ended is None else (ended - started).total_seconds()


def _by_name(ranges: Mapping[str, Any]) -> Shape:
    return {each["Name"]: each for kind, listed in ranges.items() if kind != "AutoParameters" for each in listed}
