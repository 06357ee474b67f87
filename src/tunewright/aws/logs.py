"""CloudWatch Logs: the group of all training jobs, a stream for each, read from the files they wrote.

Streams are named `<training job>/algo-1-<epoch seconds>`, as SageMaker names them, one for each host.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tunewright.aws import faults
from tunewright.aws.faults import Answer, Fault
from tunewright.aws.logbook import Book, Event, Shelf
from tunewright.aws.protocol import Wire, load_json
from tunewright.core.errors import NotFound
from tunewright.core.ports import FIRST_HOST
from tunewright.core.reads import Reads, TrialQuery, TrialView

GROUP = "/aws/sagemaker/TrainingJobs"
MOST_EVENTS, MOST_BYTES, MOST_STREAMS = 10_000, 1 << 20, 50
_STREAM = re.compile(r"(.*)/(algo-[1-9][0-9]{0,5})-[0-9]+")
_TOKEN = re.compile(r"([fb])/([0-9]{1,15})")


class Logs:
    """Answers from training jobs' log files.

    Args:
        paths: where the streams of a training job's host lie, by the names of both.
        account: whose ARNs are told.
        now: seconds since the epoch.
    """

    def __init__(
        self, reads: Reads, paths: Callable[[str, str], Sequence[Path]], account: str, now: Callable[[], float]
    ):
        self._reads, self._paths, self._account, self._now = reads, paths, account, now
        self._shelf = Shelf()
        self.methods: dict[str, Callable[[Wire, str], Wire]] = {
            "DescribeLogGroups": self._groups,
            "DescribeLogStreams": self._streams,
            "GetLogEvents": self._events,
            "FilterLogEvents": self._filter,
        }

    def handle(self, operation: str, body: bytes, region: str) -> Answer:
        """Answer one request. Raises Fault and the errors of the rooms behind."""
        if operation not in self.methods:
            known = ", ".join(self.methods)
            raise Fault("UnknownOperationException", f"{operation} is not supported here; supported are {known}.")
        text = json.dumps(self.methods[operation](load_json(body), region), separators=(",", ":"))
        return faults.answer(text.encode())

    def _groups(self, request: Wire, region: str) -> Wire:
        prefix, pattern = request.get("logGroupNamePrefix") or "", request.get("logGroupNamePattern") or ""
        if not (GROUP.startswith(str(prefix)) and str(pattern).lower() in GROUP.lower()):
            return {"logGroups": []}
        arn = self._arn(region)
        group = {"logGroupName": GROUP, "arn": f"{arn}:*", "logGroupArn": arn, "creationTime": 0, "storedBytes": 0}
        return {"logGroups": [{**group, "metricFilterCount": 0}]}

    def _streams(self, request: Wire, region: str) -> Wire:
        """Never with a nextToken: SDK v2 would ask for ever without passing it on."""
        _check_group(request)
        prefix = _text(request, "logStreamNamePrefix")
        limit = _number(request, "limit", MOST_STREAMS, 1, MOST_STREAMS)
        found = []
        meant = [(view, host) for view in self._meant(prefix, limit) for host in hosts_of(view)]
        for view, host in meant:
            name = stream_of(view, host)
            if not name.startswith(prefix):
                continue
            span = self._book(view, host).span()
            if span is None and view.trial.status.live:
                continue
            times = {} if span is None else {"firstEventTimestamp": span[0], "lastEventTimestamp": span[1]}
            stream = {"logStreamName": name, "creationTime": int(view.trial.created * 1000), **times}
            found.append({**stream, "arn": f"{self._arn(region)}:log-stream:{name}", "storedBytes": 0})
        if request.get("orderBy") != "LastEventTime":
            found.sort(key=lambda stream: str(stream["logStreamName"]))
        return {"logStreams": found[:limit]}

    def _meant(self, prefix: str, limit: int) -> list[TrialView]:
        name, slash, _ = prefix.partition("/")
        if slash:
            try:
                return [self._reads.trial(name)]
            except NotFound:
                return []
        query = TrialQuery(name_contains=name or None, limit=limit, sort="CreationTime", descending=True)
        return list(self._reads.trials(query).items)

    def _events(self, request: Wire, region: str) -> Wire:
        _check_group(request)
        book = self._named(_text(request, "logStreamName"))
        low, high = _window(request, book)
        limit = _number(request, "limit", MOST_EVENTS, 1, MOST_EVENTS)
        forward = request.get("startFromHead") is True
        at = low if forward else high
        if token := request.get("nextToken"):
            found = _TOKEN.fullmatch(str(token))
            if found is None:
                raise Fault("InvalidParameterException", "The specified nextToken is invalid.")
            forward, at = found[1] == "f", int(found[2])
        if forward:
            first, last = max(low, at), min(high, max(low, at) + limit)
        else:
            first, last = max(low, min(high, at) - limit), min(high, at)
        events = _fitting(book.events(first, max(0, last - first)))
        end = first + len(events)
        now = int(self._now() * 1000)
        return {
            "events": [{"timestamp": e.at, "message": e.message, "ingestionTime": min(now, e.at)} for e in events],
            "nextForwardToken": f"f/{end:015d}",
            "nextBackwardToken": f"b/{first:015d}",
        }

    def _filter(self, request: Wire, region: str) -> Wire:
        _check_group(request)
        names = request.get("logStreamNames") or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise Fault("InvalidParameterException", "logStreamNames has to be a list of names.")
        if not names:
            names = [
                s["logStreamName"] for s in self._streams({**request, "limit": MOST_STREAMS}, region)["logStreams"]
            ]
        wanted = _text(request, "filterPattern").strip().strip('"')
        limit = _number(request, "limit", MOST_EVENTS, 1, MOST_EVENTS)
        number, _, offset = str(request.get("nextToken") or "0/0").partition("/")
        if not (number.isdecimal() and offset.isdecimal()):
            raise Fault("InvalidParameterException", "The specified nextToken is invalid.")
        for place in range(int(number), len(names)):
            book = self._named(names[place])
            low, high = _window(request, book)
            first = max(low, int(offset) if place == int(number) else 0)
            events = _fitting(book.events(first, max(0, min(high - first, limit))))
            if events:
                shown = [_filtered(names[place], event) for event in events if wanted in event.message]
                return {"events": shown, "searchedLogStreams": [], "nextToken": f"{place}/{events[-1].index + 1}"}
        return {"events": [], "searchedLogStreams": []}

    def _named(self, stream: str) -> Book:
        found = _STREAM.fullmatch(stream)
        name, host = (found[1], found[2]) if found else (stream.partition("/")[0], FIRST_HOST)
        try:
            view = self._reads.trial(name)
            if host not in hosts_of(view):
                raise NotFound("log stream", stream)
            return self._book(view, host)
        except NotFound:
            raise Fault("ResourceNotFoundException", "The specified log stream does not exist.") from None

    def _book(self, view: TrialView, host: str) -> Book:
        trial = view.trial
        book = self._shelf.book(f"{trial.name}/{host}", trial.attempt, lambda: self._paths(trial.name, host))
        book.look(self._now(), ended=not trial.status.live)
        return book

    def _arn(self, region: str) -> str:
        return f"arn:aws:logs:{region}:{self._account}:log-group:{GROUP}"


def hosts_of(view: TrialView) -> list[str]:
    """The names of a training job's hosts."""
    training = view.spec.definitions[view.trial.definition].training
    return training.chosen(view.trial.choice).host_names[:MOST_STREAMS]


def stream_of(view: TrialView, host: str = FIRST_HOST) -> str:
    return f"{view.trial.name}/{host}-{int(view.trial.created)}"


def _window(request: Wire, book: Book) -> tuple[int, int]:
    """The events that a request's times leave: the index of the first, and the one behind the last."""
    low = book.since(_number(request, "startTime", 0, 0, 1 << 53))
    high = book.since(_number(request, "endTime", 1 << 53, 0, 1 << 53))
    return low, max(low, high)


def _fitting(events: Sequence[Event]) -> list[Event]:
    """As many as fit into one answer."""
    found: list[Event] = []
    size = 0
    for event in events:
        size += len(event.message.encode()) + 26
        if found and size > MOST_BYTES:
            break
        found.append(event)
    return found


def _filtered(stream: str, event: Event) -> dict[str, Any]:
    identity = f"{stream}/{event.index:012d}"
    shown = {"logStreamName": stream, "timestamp": event.at, "message": event.message}
    return {**shown, "ingestionTime": event.at, "eventId": identity}


def _check_group(request: Wire) -> None:
    name = request.get("logGroupName") or str(request.get("logGroupIdentifier") or "").rpartition("log-group:")[2]
    if name != GROUP:
        raise Fault("ResourceNotFoundException", f"The specified log group does not exist; there is only {GROUP}.")


def _text(request: Wire, name: str) -> str:
    value = request.get(name) or ""
    if not isinstance(value, str):
        raise Fault("InvalidParameterException", f"{name} has to be text.")
    return value


def _number(request: Wire, name: str, default: int, low: int, high: int) -> int:
    value = request.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Fault("InvalidParameterException", f"{name} has to be a number between {low} and {high}.")
    return value
