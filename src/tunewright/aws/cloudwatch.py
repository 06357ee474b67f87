"""CloudWatch's GetMetricStatistics on the curves of training jobs, for the SDKs' TrainingJobAnalytics."""

from __future__ import annotations

import calendar
import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tunewright.aws.faults import Answer, Fault
from tunewright.aws.protocol import Wire, load_json
from tunewright.aws.query import Form
from tunewright.aws.s3_xml import Tree, stamp
from tunewright.core.errors import NotFound
from tunewright.core.ports import Reads

NAMESPACE = "/aws/sagemaker/TrainingJobs"
XML_NAMESPACE = "http://monitoring.amazonaws.com/doc/2010-08-01/"
MAX_POINTS = 1440
STATISTICS = ("Average", "Maximum", "Minimum", "SampleCount", "Sum")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|\+00:00)?")


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
    """Answers GetMetricStatistics in JSON and in the query protocol."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    def handle(self, operation: str, body: bytes) -> Answer:
        """The JSON protocol. Raises Fault."""
        if operation != "GetMetricStatistics":
            raise unknown(operation)
        request = load_json(body)
        label, points = self._statistics(_from_json(request))
        text = json.dumps({"Label": label, "Datapoints": points}, separators=(",", ":"))
        return 200, {"Content-Type": "application/x-amz-json-1.0"}, text.encode()

    def query(self, form: Form) -> Tree:
        """The query protocol. Raises Fault."""
        label, points = self._statistics(_from_form(form))
        told = [
            {name: stamp(value) if name == "Timestamp" else str(value) for name, value in point.items()}
            for point in points
        ]
        return {"Label": label, "Datapoints": {"member": told}}

    def _statistics(self, asked: Asked) -> tuple[str, list[dict[str, Any]]]:
        _check(asked)
        buckets: dict[float, list[float]] = {}
        for at, value in self._values(asked):
            buckets.setdefault(at - at % asked.period, []).append(value)
        if len(buckets) > MAX_POINTS:
            text = f"You have requested up to {len(buckets)} datapoints, which exceeds the limit of {MAX_POINTS}."
            raise Fault("InvalidParameterCombination", f"{text} You may reduce them by a larger period.")
        return asked.metric, [_point(at, buckets[at], asked.statistics) for at in sorted(buckets)]

    def _values(self, asked: Asked) -> Iterable[tuple[float, float]]:
        name = asked.dimensions.get("TrainingJobName")
        if asked.namespace != NAMESPACE or name is None:
            return ()
        try:
            curve = self._reads.curve(self._reads.trial(name).trial.name, asked.metric)
        except NotFound:
            return ()
        return ((p.at, p.value) for p in curve if asked.start <= p.at < asked.end and math.isfinite(p.value))


def unknown(operation: str) -> Fault:
    return Fault("UnknownOperationException", f"{operation} is not supported here; supported is GetMetricStatistics.")


def _point(at: float, values: list[float], statistics: Iterable[str]) -> dict[str, Any]:
    found = {
        "Average": sum(value / len(values) for value in values),
        "Maximum": max(values),
        "Minimum": min(values),
        "SampleCount": float(len(values)),
        "Sum": sum(values),
    }
    chosen = {name: found[name] for name in statistics if math.isfinite(found[name])}
    return {"Timestamp": at, **chosen, "Unit": "None"}


def _check(asked: Asked) -> None:
    if asked.period < 1 or (asked.period % 60 and asked.period not in (1, 5, 10, 20, 30)):
        raise Fault("InvalidParameterValue", "The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.")
    if asked.start >= asked.end:
        raise Fault("InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime.")
    if not asked.statistics or not set(asked.statistics) <= set(STATISTICS):
        raise Fault("InvalidParameterValue", f"The parameter Statistics must name some of {', '.join(STATISTICS)}.")


def _from_json(request: Wire) -> Asked:
    try:
        return Asked(
            str(request["Namespace"]),
            str(request["MetricName"]),
            {str(each["Name"]): str(each["Value"]) for each in request.get("Dimensions") or []},
            _time(request["StartTime"]),
            _time(request["EndTime"]),
            int(request["Period"]),
            tuple(str(name) for name in request.get("Statistics") or []),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Fault("InvalidParameterValue", f"A parameter is missing or is none: {error}") from None


def _from_form(form: Form) -> Asked:
    dimensions: list[dict[str, str]] = []
    while (name := form.get(f"Dimensions.member.{len(dimensions) + 1}.Name")) is not None:
        dimensions.append({"Name": name, "Value": form.get(f"Dimensions.member.{len(dimensions) + 1}.Value", "")})
    statistics: list[str] = []
    while (each := form.get(f"Statistics.member.{len(statistics) + 1}")) is not None:
        statistics.append(each)
    return _from_json({**form, "Dimensions": dimensions, "Statistics": statistics})


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
