"""CloudWatch on the curves of training jobs: GetMetricStatistics, GetMetricData and ListMetrics.

The SDKs' TrainingJobAnalytics and `visualize_jobs` need no more. Requests and answers are dictionaries with the
members of CloudWatch's model, whichever protocol they came in.
"""

from __future__ import annotations

import calendar
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewright.aws.faults import Answer, Fault
from tunewright.aws.query import Action, Form, unfold
from tunewright.aws.s3.xml import Tree, stamp
from tunewright.aws.sagemaker.normalise import OBJECTIVE_METRIC
from tunewright.aws.sagemaker.protocol import Wire, load_json
from tunewright.core.errors import Invalid, NotFound
from tunewright.core.reads import Reads, TrialQuery, TrialView

NAMESPACE = "/aws/sagemaker/TrainingJobs"
JOB = "TrainingJobName"
XML_NAMESPACE = "http://monitoring.amazonaws.com/doc/2010-08-01/"
MAX_POINTS, MAX_QUERIES = 1440, 500
JOBS_PER_PAGE = 50
STATISTICS = ("Average", "Maximum", "Minimum", "SampleCount", "Sum")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|\+00:00)?")
_IDENTITY = re.compile(r"[a-z][a-zA-Z0-9_]{0,254}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a metric's points; times are seconds since the epoch."""

    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    start: float
    end: float
    period: int
    statistics: tuple[str, ...]


class Monitoring:
    """Answers in JSON and in the query protocol."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._methods: dict[str, Callable[[Wire], Wire]] = {
            "GetMetricStatistics": self._statistics,
            "GetMetricData": self._data,
            "ListMetrics": self._list,
        }
        self.query: dict[str, Action] = {name: _by_form(method) for name, method in self._methods.items()}

    def handle(self, operation: str, body: bytes) -> Answer:
        """The JSON protocol. Raises Fault."""
        if operation not in self._methods:
            known = ", ".join(self._methods)
            raise Fault("UnknownOperationException", f"{operation} is not supported here; supported are {known}.")
        text = json.dumps(_carefully(self._methods[operation], load_json(body)), separators=(",", ":"))
        return 200, {"Content-Type": "application/x-amz-json-1.0"}, text.encode()

    def _statistics(self, request: Wire) -> Wire:
        asked = _asked(request, request, tuple(map(str, request.get("Statistics") or [])))
        points = self._points(asked)
        if len(points) > MAX_POINTS:
            text = f"You have requested up to {len(points)} datapoints, which exceeds the limit of {MAX_POINTS}."
            raise Fault("InvalidParameterCombination", f"{text} You may reduce them by a larger period.")
        return {"Label": asked.metric, "Datapoints": points}

    def _data(self, request: Wire) -> Wire:
        """All points of all queries in one page: a training job's curve is never long enough for a second."""
        queries = request["MetricDataQueries"]
        if len(queries) > MAX_QUERIES:
            raise Fault("ValidationError", f"A request may have {MAX_QUERIES} queries, this one has {len(queries)}.")
        seen: set[str] = set()
        results = []
        for query in queries:
            identity = str(query["Id"])
            if not _IDENTITY.fullmatch(identity) or identity in seen:
                text = f"The id {identity[:80]!r} has to begin with a small letter, hold letters, digits and _, once."
                raise Fault("ValidationError", text)
            seen.add(identity)
            if "MetricStat" not in query:
                raise Fault("ValidationError", f"The query {identity!r} has no MetricStat; expressions are not read.")
            if query.get("ReturnData") not in (False, "false"):
                results.append(self._result(identity, query, request))
        return {"MetricDataResults": results, "Messages": []}

    def _result(self, identity: str, query: Wire, request: Wire) -> Wire:
        asked = _asked(
            query["MetricStat"]["Metric"], {**request, **query["MetricStat"]}, (query["MetricStat"]["Stat"],)
        )
        points = self._points(asked)
        if request.get("ScanBy") != "TimestampAscending":
            points.reverse()
        [statistic] = asked.statistics
        return {
            "Id": identity,
            "Label": query.get("Label") or asked.metric,
            "Timestamps": [point["Timestamp"] for point in points],
            "Values": [point[statistic] for point in points],
            "StatusCode": "Complete",
        }

    def _list(self, request: Wire) -> Wire:
        """The metrics of one training job, or of all of them page by page."""
        wanted = {str(each["Name"]): each.get("Value") for each in request.get("Dimensions") or []}
        if request.get("Namespace") not in (None, NAMESPACE) or set(wanted) - {JOB}:
            return {"Metrics": []}
        views, after = self._jobs(wanted.get(JOB), request.get("NextToken"))
        metrics = [
            {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": [{"Name": JOB, "Value": view.trial.name}]}
            for view in views
            for name in self._names(view)
            if request.get("MetricName") in (None, name)
        ]
        return {"Metrics": metrics, "NextToken": after} if after else {"Metrics": metrics}

    def _jobs(self, name: str | None, token: str | None) -> tuple[Sequence[TrialView], str | None]:
        if name is not None:
            try:
                return [self._reads.trial(name)], None
            except NotFound:
                return [], None
        try:
            page = self._reads.trials(TrialQuery(sort="CreationTime", limit=JOBS_PER_PAGE, after=token))
        except Invalid:
            raise Fault("InvalidParameterValue", "The parameter NextToken is of no list of metrics.") from None
        return page.items, page.after

    def _names(self, view: TrialView) -> list[str]:
        names = [value.metric for value in self._reads.metrics(view.trial.name)]
        again = _objective(view) in names and OBJECTIVE_METRIC not in names
        return [*names, OBJECTIVE_METRIC] if again else names

    def _points(self, asked: Asked) -> list[dict[str, Any]]:
        _check(asked)
        buckets: dict[float, list[float]] = {}
        for at, value in self._values(asked):
            buckets.setdefault(at - at % asked.period, []).append(value)
        return [_point(at, buckets[at], asked.statistics) for at in sorted(buckets)]

    def _values(self, asked: Asked) -> Iterable[tuple[float, float]]:
        if asked.namespace != NAMESPACE or set(asked.dimensions) != {JOB}:
            return ()
        try:
            view = self._reads.trial(asked.dimensions[JOB])
            curve = self._reads.curve(view.trial.name, asked.metric)
            if not curve and asked.metric == OBJECTIVE_METRIC:
                curve = self._reads.curve(view.trial.name, _objective(view))
        except NotFound:
            return ()
        return ((p.at, p.value) for p in curve if asked.start <= p.at < asked.end and math.isfinite(p.value))


def _objective(view: TrialView) -> str:
    objective = view.spec.definitions[view.trial.definition].objective
    return objective.metric if objective else ""


def _point(at: float, values: list[float], statistics: Iterable[str]) -> dict[str, Any]:
    found = {
        "Average": sum(value / len(values) for value in values),
        "Maximum": max(values),
        "Minimum": min(values),
        "SampleCount": float(len(values)),
        "Sum": max(-sys.float_info.max, min(sys.float_info.max, sum(values))),
    }
    return {"Timestamp": at, **{name: found[name] for name in statistics}, "Unit": "None"}


def _check(asked: Asked) -> None:
    if asked.period < 1 or (asked.period % 60 and asked.period not in (1, 5, 10, 20, 30)):
        raise Fault("InvalidParameterValue", "The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.")
    if asked.start >= asked.end:
        raise Fault("InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime.")
    if not asked.statistics or not set(asked.statistics) <= set(STATISTICS):
        raise Fault("InvalidParameterValue", f"The parameter Statistics must name some of {', '.join(STATISTICS)}.")


def _asked(metric: Wire, request: Wire, statistics: tuple[str, ...]) -> Asked:
    return Asked(
        str(metric["Namespace"]),
        str(metric["MetricName"]),
        {str(each["Name"]): str(each["Value"]) for each in metric.get("Dimensions") or []},
        _time(request["StartTime"]),
        _time(request["EndTime"]),
        int(request["Period"]),
        statistics,
    )


def _carefully(method: Callable[[Wire], Wire], request: Wire) -> Wire:
    """A method's answer; a request of another form is the client's fault."""
    try:
        return method(request)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Fault("InvalidParameterValue", f"A parameter is missing or is none: {str(error)[:200]}") from None


def _by_form(method: Callable[[Wire], Wire]) -> Action:
    def act(form: Form) -> Tree:
        request: Any = unfold(form)
        return _told(_carefully(method, request), "")

    return act


def _told(value: Any, name: str) -> Tree:
    """An answer as the query protocol writes it."""
    if isinstance(value, dict):
        return {key: _told(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return {"member": [_told(inner, name) for inner in value]}
    return stamp(value) if name in ("Timestamp", "Timestamps") else str(value)


def _time(value: Any) -> float:
    """Seconds since the epoch, or ISO 8601 in UTC. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ValueError("a time has to be finite")
        return float(value)
    found = _TIME.fullmatch(str(value))
    if found is None:
        raise ValueError(f"{str(value)[:40]!r} is no time")
    return calendar.timegm(time.strptime(found[1], "%Y-%m-%dT%H:%M:%S")) + float(found[2] or 0)
