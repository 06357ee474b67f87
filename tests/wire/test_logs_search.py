"""Listings of log streams page by page, and searches in many of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from aws.world import tuning
from botocore.exceptions import ClientError

from tunewright.aws.faults import Fault
from tunewright.aws.logs.pattern import read_pattern

from .conftest import Server, served
from .test_services import GROUP, write

JOBS = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A tuning job with more training jobs than one page of streams shows, all but the last ended."""
    for server in served(tmp_path_factory.mktemp("logs")):
        limits = {"MaxNumberOfTrainingJobs": JOBS, "MaxParallelTrainingJobs": 2}
        uid = server.world.create(tuning("many", ResourceLimits=limits))
        for number in range(1, JOBS + 1):
            server.world.propose(uid, {"lr": 0.01})
            server.world.launch(uid, number)
            write(server, server.world.job(uid).live[number].name, f"start {number}\nloss={number}.5;\n")
            server.world.report(uid, number, "loss", number + 0.5)
            if number < JOBS:
                server.world.exit(uid, number)
        yield server


@pytest.fixture
def logs(server: Server) -> Any:
    return server.client("logs")


def streams(logs: Any, size: int, **asked: Any) -> tuple[list[str], int]:
    """All names, and on how many pages they came."""
    pages = logs.get_paginator("describe_log_streams").paginate(
        logGroupName=GROUP, PaginationConfig={"PageSize": size}, **asked
    )
    found = [[stream["logStreamName"] for stream in page["logStreams"]] for page in pages]
    return [name for page in found for name in page], len(found)


def test_all_streams_are_listed_page_by_page(logs: Any) -> None:
    names, pages = streams(logs, 50)
    assert (len(names), pages) == (JOBS, 2) and names == sorted(set(names))
    assert streams(logs, 7) == (names, 9)
    assert streams(logs, 7, descending=True) == (names[::-1], 9)
    assert streams(logs, 7, logStreamNamePrefix="many-00") == (names[:9], 2)
    assert streams(logs, 7, orderBy="LastEventTime") == (names, 9)
    assert logs.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime", descending=True, limit=2)[
        "logStreams"
    ][0]["logStreamName"].startswith("many-060-")


def test_streams_of_one_training_job_never_go_on(logs: Any) -> None:
    """SDK v2 asks again for as long as there is a nextToken, and never sends it."""
    name = streams(logs, 50)[0][0].partition("/")[0]
    told = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/", limit=1)
    assert len(told["logStreams"]) == 1 and "nextToken" not in told
    assert "nextToken" not in logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="nobody/", limit=1)


def messages(logs: Any, **asked: Any) -> list[str]:
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP, **asked)
    return [event["message"] for page in pages for event in page["events"]]


def test_a_search_goes_through_all_streams(logs: Any) -> None:
    assert sorted(messages(logs, filterPattern="loss")) == sorted(f"loss={n}.5;" for n in range(1, JOBS + 1))
    assert messages(logs, filterPattern="start 60") == ["start 60"]
    assert len(messages(logs, filterPattern="?loss ?start", PaginationConfig={"PageSize": 7})) == 2 * JOBS
    some = logs.filter_log_events(logGroupName=GROUP, logStreamNamePrefix="many-00")
    assert len(some["events"]) == 18 and "nextToken" not in some, "one answer holds several streams"
    assert [e["timestamp"] for e in some["events"]] == sorted(e["timestamp"] for e in some["events"])


def test_a_search_since_a_time(server: Server, logs: Any) -> None:
    """Logs of training jobs that ended before are not even opened."""
    told = logs.filter_log_events(logGroupName=GROUP, logStreamNamePrefix="many-001")
    first = told["events"][0]["timestamp"]
    assert len(messages(logs, filterPattern="?loss ?start", startTime=first)) == 2 * JOBS
    server.world.clock.time += 86400
    uid = server.world.store.find("many", tuning=True)
    path = server.log_paths(server.world.job(uid).live[JOBS].name)[0]
    path.write_text(path.read_text() + "later\n")
    os.utime(path, (server.world.clock.time, server.world.clock.time))
    assert messages(logs, startTime=int(server.world.clock.time * 1000)) == ["later"]


def test_a_search_goes_on_behind_the_last_event_that_was_shown(logs: Any) -> None:
    asked = {"logGroupName": GROUP, "logStreamNamePrefix": "many-00", "filterPattern": "loss", "limit": 4}
    first = logs.filter_log_events(**asked)
    second = logs.filter_log_events(**asked, nextToken=first["nextToken"])
    third = logs.filter_log_events(**asked, nextToken=second["nextToken"])
    found = [event["message"] for page in (first, second, third) for event in page["events"]]
    assert sorted(found) == [f"loss={n}.5;" for n in range(1, 10)] and len(first["events"]) == 4


@pytest.mark.parametrize("token", ["none", "bnVsbA==", "WzEsMF0=", "W251bGwsIi0xIl0=", "WyJ4IiwwLDBd", "WyJ4IiwwXQ=="])
def test_a_token_of_another_kind_is_refused(token: str, logs: Any) -> None:
    with pytest.raises(ClientError, match="nextToken is invalid"):
        logs.describe_log_streams(logGroupName=GROUP, nextToken=token)
    with pytest.raises(ClientError, match="nextToken is invalid"):
        logs.filter_log_events(logGroupName=GROUP, nextToken=token)


@pytest.mark.parametrize(
    ("pattern", "lines"),
    [
        ("", {"ERROR a", "WARN b", "error c", "a ERROR of b"}),
        ("ERROR", {"ERROR a", "a ERROR of b"}),
        ("ERROR b", {"a ERROR of b"}),
        ('"ERROR of"', {"a ERROR of b"}),
        ("?ERROR ?WARN", {"ERROR a", "WARN b", "a ERROR of b"}),
        ('?WARN ?"or c"', {"WARN b", "error c"}),
        ("-ERROR", {"WARN b", "error c"}),
        ('ERROR -" of "', {"ERROR a"}),
        ("?WARN ERROR", {"ERROR a", "a ERROR of b"}),
    ],
)
def test_terms(pattern: str, lines: set[str]) -> None:
    matches = read_pattern(pattern)
    assert {line for line in ("ERROR a", "WARN b", "error c", "a ERROR of b") if matches(line)} == lines


def test_a_term_may_hold_quotes() -> None:
    assert read_pattern(r'"a \"b\""')('say a "b"') and not read_pattern(r'"a \"b\""')("say a b")


@pytest.mark.parametrize("pattern", ["{ $.level = 1 }", "[a, b]", "%ERR.*%", '"open', 'a "b"c'])
def test_patterns_that_are_not_read(pattern: str) -> None:
    with pytest.raises(Fault, match="Invalid filter pattern"):
        read_pattern(pattern)
