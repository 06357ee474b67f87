"""CloudWatch Logs: the group of all training jobs, a stream for each, read from the files they wrote.

Streams are named `<training job>/algo-1-<epoch seconds>`, as SageMaker names them, one for each host.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tunewright.aws import faults
from tunewright.aws.faults import Answer, Fault
from tunewright.aws.logs.book import Book, Event, Shelf
from tunewright.aws.logs.paging import bad_token, read_token, token
from tunewright.aws.logs.pattern import read_pattern
from tunewright.aws.sagemaker.protocol import Wire, load_json
from tunewright.core.errors import Invalid, NotFound
from tunewright.core.ports import FIRST_HOST
from tunewright.core.reads import Reads, TrialQuery, TrialView

GROUP = "/aws/sagemaker/TrainingJobs"
MOST_EVENTS, MOST_BYTES, MOST_STREAMS, MOST_SEARCHED = 10_000, 1 << 20, 50, 50_000
_STREAM = re.compile(r"(.*)/(algo-[1-9][0-9]{0,5})-[0-9]+")
_TOKEN = re.compile(r"([fb])/([0-9]{1,15})")


class Logs:
    """Answers from training jobs' log files.

    Args:
        paths: where the streams of a training job's host lie, by the names of both and the attempt.
        account: whose ARNs are told.
        now: seconds since the epoch.
    """

    def __init__(
        self, reads: Reads, paths: Callable[[str, str, int], Sequence[Path]], account: str, now: Callable[[], float]
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
        """A page of streams, by name or by the time of what was written last.

        Which page a stream is on is decided by when its training job was created, not by what it wrote.
        """
        _check_group(request)
        by_time, back = request.get("orderBy") == "LastEventTime", request.get("descending") is True
        page, further = self._page(request, _number(request, "limit", MOST_STREAMS, 1, MOST_STREAMS), by_time, back)
        streams = [stream for view, host in page if (stream := self._stream(view, host, region)) is not None]
        key = "lastEventTimestamp" if by_time else "logStreamName"
        streams.sort(key=lambda stream: stream.get(key, 0), reverse=back)
        return {"logStreams": streams, **({"nextToken": further} if further else {})}

    def _stream(self, view: TrialView, host: str, region: str) -> dict[str, Any] | None:
        """None before anything was written."""
        name, span = stream_of(view, host), self._book(view, host).span()
        if span is None and view.trial.status.live:
            return None
        times = {} if span is None else {"firstEventTimestamp": span[0], "lastEventTimestamp": span[1]}
        stream = {"logStreamName": name, "creationTime": int(view.trial.created * 1000), **times}
        return {**stream, "arn": f"{self._arn(region)}:log-stream:{name}", "storedBytes": 0}

    def _page(
        self, request: Wire, limit: int, by_time: bool = False, descending: bool = False
    ) -> tuple[list[tuple[TrialView, str]], str | None]:
        """The next streams whose names begin with a request's prefix, and the token of those after them. Raises Fault.

        Those of one training job, which a prefix with a slash names, come without a token: SDK v2 would ask for ever.
        """
        prefix = _text(request, "logStreamNamePrefix")
        name, slash, _ = prefix.partition("/")
        after, [skip] = read_token(request.get("nextToken"), 1)
        views, beyond = self._one(name) if slash else self._many(name, limit, by_time, descending, after)
        streams = [(view, host) for view in views for host in hosts_of(view)]
        meant = [each for each in streams[skip : skip + limit] if stream_of(*each).startswith(prefix)]
        if slash:
            return meant, None
        if skip + limit < len(streams):
            return meant, token(after, skip + limit)
        return meant, beyond and token(beyond, 0)

    def _one(self, name: str) -> tuple[Sequence[TrialView], None]:
        try:
            return [self._reads.trial(name)], None
        except NotFound:
            return [], None

    def _many(
        self, name: str, limit: int, by_time: bool, descending: bool, after: str | None
    ) -> tuple[Sequence[TrialView], str | None]:
        sort = "CreationTime" if by_time else "Name"
        query = TrialQuery(name_contains=name or None, limit=limit, sort=sort, descending=descending, after=after)
        try:
            page = self._reads.trials(query)
        except Invalid:
            raise bad_token() from None
        return page.items, page.after

    def _events(self, request: Wire, region: str) -> Wire:
        _check_group(request)
        book = self._named(_text(request, "logStreamName"))
        low, high = _window(request, book)
        limit = _number(request, "limit", MOST_EVENTS, 1, MOST_EVENTS)
        forward = request.get("startFromHead") is True
        at = low if forward else high
        if given := request.get("nextToken"):
            found = _TOKEN.fullmatch(str(given))
            if found is None:
                raise bad_token()
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
        """Events of several streams; those of one answer are in the order of their times.

        An answer ends where a page of streams does, or where much was looked at, and may be empty then: its nextToken
        goes on.
        """
        _check_group(request)
        matches = read_pattern(_text(request, "filterPattern"))
        limit = _number(request, "limit", MOST_EVENTS, 1, MOST_EVENTS)
        page, [place, offset] = read_token(request.get("nextToken"), 2)
        books, further = self._searched(request, page)
        found: list[dict[str, Any]] = []
        room, size = MOST_SEARCHED, 0
        while place < len(books) and len(found) < limit and room > 0 and size < MOST_BYTES:
            name, book = books[place]
            low, high = _window(request, book)
            first = max(low, offset)
            events = book.events(first, max(0, min(high - first, room, MOST_EVENTS)))
            for event in events:
                room, offset = room - 1, event.index + 1
                if matches(event.message):
                    found.append(_filtered(name, event))
                    size += len(event.message)
                if len(found) == limit or size >= MOST_BYTES:
                    break
            if not events or offset >= high:
                place, offset = place + 1, 0
        found.sort(key=lambda event: int(event["timestamp"]))
        going_on = token(page, place, offset) if place < len(books) else further and token(further, 0, 0)
        return {"events": found, "searchedLogStreams": [], **({"nextToken": going_on} if going_on else {})}

    def _searched(self, request: Wire, page: str | None) -> tuple[list[tuple[str, Book]], str | None]:
        """A page of streams to search, and the token of the next one. Raises Fault."""
        names = request.get("logStreamNames") or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise Fault("InvalidParameterException", "logStreamNames has to be a list of names.")
        if names:
            return [(name, self._named(name)) for name in names], None
        streams, further = self._page({**request, "nextToken": page}, MOST_STREAMS)
        since = _number(request, "startTime", 0, 0, 1 << 53)
        # Nothing is written once a training job has ended, and to open its log costs reading it.
        late = [each for each in streams if each[0].trial.status.live or each[0].modified * 1000 >= since]
        return [(stream_of(view, host), self._book(view, host)) for view, host in late], further

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
        # A training job of the same name, after this one was deleted, has another stream.
        book = self._shelf.book(stream_of(view, host), partial(self._paths, trial.name, host))
        book.look(trial.attempt, self._now(), ended=not trial.status.live)
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
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Fault("InvalidParameterException", f"{name} has to be valid Unicode text.") from None
    return value


def _number(request: Wire, name: str, default: int, low: int, high: int) -> int:
    value = request.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Fault("InvalidParameterException", f"{name} has to be a number between {low} and {high}.")
    return value
