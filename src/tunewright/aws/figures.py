"""Figures for Prometheus and the access log: what was asked, how it went, how long it took."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tunewright.aws.http.call import Call
from tunewright.aws.s3.xml import stamp

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
log = logging.getLogger("tunewright.access")


class _Looked(Collector):
    """What is counted elsewhere and asked for when somebody looks: jobs that go on, log lines that were dropped."""

    def __init__(self, jobs: Callable[[], int], dropped: Callable[[], int]) -> None:
        self._jobs, self._dropped = jobs, dropped

    def collect(self) -> Iterable[Metric]:
        text = "Tuning jobs and plain training jobs that have not ended."
        yield GaugeMetricFamily("tunewright_jobs_in_progress", text, value=self._jobs())
        text = "Lines of the log that were dropped because standard error was not read."
        yield CounterMetricFamily("tunewright_log_lines_dropped", text, value=self._dropped())


class Figures:
    """Counts the requests of one server.

    Args:
        jobs: how many jobs go on now.
        now: seconds since the epoch.
        dropped: how many lines of the log were dropped.
    """

    def __init__(self, jobs: Callable[[], int], now: Callable[[], float], dropped: Callable[[], int]) -> None:
        self._now = now
        self._registry = CollectorRegistry()
        labels = ("service", "operation")
        self._requests = Counter(
            "tunewright_requests", "Requests answered.", (*labels, "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "tunewright_request_seconds", "Time to answer a request.", labels, registry=self._registry
        )
        self._received = Counter("tunewright_received_bytes", "Bytes of bodies received.", registry=self._registry)
        self._registry.register(_Looked(jobs, dropped))

    def record(self, call: Call, status: int, seconds: float) -> None:
        note = call.note
        self._requests.labels(note.service, note.operation, str(status)).inc()
        self._seconds.labels(note.service, note.operation).observe(seconds)
        self._received.inc(note.received)
        if log.isEnabledFor(logging.INFO):
            self._tell(call, status, seconds)

    def _tell(self, call: Call, status: int, seconds: float) -> None:
        note, client = call.note, call.scope.get("client")
        line = {
            "time": stamp(self._now()),
            "request_id": call.request_id,
            "client": client[0] if client else "",
            "access_key": note.access_key,
            "service": note.service,
            "operation": note.operation,
            "method": call.method,
            "path": call.raw_path[:1024],
            "status": status,
            "error": note.error,
            "received": note.received,
            "milliseconds": round(seconds * 1000, 1),
        }
        log.info("%s", json.dumps({name: value for name, value in line.items() if value != ""}))

    def text(self) -> bytes:
        """All figures in Prometheus's format."""
        return generate_latest(self._registry)
