"""Thirty-two clients at once beside the loop: nothing is lost, and no answer is a server's error."""

from __future__ import annotations

import http.client
import json
import os
import tarfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aws.world import definition, tuning

from .test_serve import Serving

CLIENTS, EACH = 32, 3
PROGRAM = 'print("loss=0.5")\n'


class Caller(threading.Thread):
    """Creates jobs of its own, looks at them and stops them, by raw requests on one connection."""

    def __init__(self, server: Serving, number: int, start: threading.Barrier) -> None:
        super().__init__()
        self.number, self._start = number, start
        host, _, port = server.said["Endpoint"].rpartition("/")[2].partition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=120)
        self.statuses: Counter[int] = Counter()
        self.created: list[str] = []
        self.problems: list[str] = []

    def ask(self, operation: str, **members: Any) -> dict[str, Any]:
        self._connection.request("POST", "/", json.dumps(members), {"X-Amz-Target": f"SageMaker.{operation}"})
        answer = self._connection.getresponse()
        body: dict[str, Any] = json.loads(answer.read() or b"{}")
        self.statuses[answer.status] += 1
        return {"status": answer.status, **body}

    def run(self) -> None:
        self._start.wait()
        for turn in range(EACH):
            name = {"HyperParameterTuningJobName": f"c{self.number}-{turn}"}
            # Every name is also tried by a neighbour: one of them gets it.
            shared = {"HyperParameterTuningJobName": f"s{self.number // 2}-{turn}"}
            for chosen in (name, shared):
                if self.ask("CreateHyperParameterTuningJob", **{**REQUEST, **chosen})["status"] == 200:
                    self.created.append(chosen["HyperParameterTuningJobName"])
            if self.ask("DescribeHyperParameterTuningJob", **name).get("HyperParameterTuningJobName") != name[KEY]:
                self.problems.append(f"{name} was created and cannot be read")
            self.ask("ListHyperParameterTuningJobs", MaxResults=100, SortBy="Status")
            self.ask("ListTrainingJobsForHyperParameterTuningJob", **name)
            if turn % 2:
                self.ask("StopHyperParameterTuningJob", **name)
        self._connection.close()


KEY = "HyperParameterTuningJobName"
REQUEST: dict[str, Any] = {}


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TUNEWRIGHT_QUOTAS", "running=1000")
    monkeypatch.setenv("TUNEWRIGHT_SLOTS", "2")
    # What it says of each request would fill the pipe that nobody reads.
    server = Serving(tmp_path / "home", "--no-access-log")
    yield server
    server.end()


def prepare(server: Serving, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(PROGRAM)
    with tarfile.open(tmp_path / "sourcedir.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "train.py", "train.py")
    server.client("s3").upload_file(str(tmp_path / "sourcedir.tar.gz"), "tunewright", "code/sourcedir.tar.gz")
    source = json.dumps("s3://tunewright/code/sourcedir.tar.gz")
    REQUEST.update(tuning("any", ResourceLimits={"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}))
    REQUEST["TrainingJobDefinition"] = definition(
        StaticHyperParameters={"sagemaker_program": '"train.py"', "sagemaker_submit_directory": source},
        OutputDataConfig={"S3OutputPath": "s3://tunewright/out"},
    )


@pytest.mark.slow
def test_many_clients_write_beside_the_loop(serving: Serving, tmp_path: Path) -> None:
    prepare(serving, tmp_path)
    start = threading.Barrier(CLIENTS)
    callers = [Caller(serving, number, start) for number in range(CLIENTS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not [problem for caller in callers for problem in caller.problems]
    statuses = sum((caller.statuses for caller in callers), Counter[int]())
    assert set(statuses) <= {200, 400}, statuses
    created = Counter(name for caller in callers for name in caller.created)
    expected = {f"c{n}-{turn}" for n in range(CLIENTS) for turn in range(EACH)}
    expected |= {f"s{n}-{turn}" for n in range(CLIENTS // 2) for turn in range(EACH)}
    assert created == dict.fromkeys(expected, 1)
    client = serving.client("sagemaker")
    pages = client.get_paginator("list_hyper_parameter_tuning_jobs").paginate()
    listed = [each for page in pages for each in page["HyperParameterTuningJobSummaries"]]
    assert {each["HyperParameterTuningJobName"] for each in listed} == expected
    assert len(listed) == len(expected)
    ended(client, expected)


def ended(client: Any, names: set[str]) -> None:
    """Wait until every job has ended as it was told to; the test's own limit of time bounds it."""
    left = set(names)
    while left:
        name = min(left)
        found = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        if found["HyperParameterTuningJobStatus"] in ("Completed", "Stopped"):
            counters = found["TrainingJobStatusCounters"]
            assert sum(counters.values()) <= 1 and counters["NonRetryableError"] == 0, found
            left.remove(name)
        else:
            assert found["HyperParameterTuningJobStatus"] in ("InProgress", "Stopping"), found
            os.sched_yield()
