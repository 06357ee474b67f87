"""Rows 2, 3 and 66 to 68: errors, numbers and lists as botocore's client reads them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from .ground import Sim, prints


def test_row_02_errors_are_exceptions_of_the_client(sim: Sim) -> None:
    with pytest.raises(sim.client.exceptions.ResourceNotFound):
        sim.describe("nobody")
    status, _, body = sim.service.handle("DescribeHyperParameterTuningJob", b'{"HyperParameterTuningJobName": "no"}')
    assert status == 400
    assert b'"__type": "ResourceNotFound"' in body


def test_row_03_timestamps_and_single_precision(simulate: Callable[..., Sim]) -> None:
    sim = simulate(lambda _: prints("2.91488"))
    sim.clock.at += 0.022
    created = sim.clock.now()
    sim.run(sim.request("job", jobs=1))
    told = sim.describe("job")
    assert told["CreationTime"].tzinfo is not None
    assert told["CreationTime"].microsecond == 22_000 == round(created % 1 * 1e6)
    value = told["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    assert value == float(np.float32(2.91488)) != 2.91488


def test_row_66_lists_of_tuning_jobs(sim: Sim) -> None:
    names = [f"job-{letter}" for letter in "cabed"]
    for name in names:
        sim.run(sim.request(name, jobs=1))
    sim.create(sim.request("other"))
    first = sim.client.list_hyper_parameter_tuning_jobs(MaxResults=4)
    assert len(first["HyperParameterTuningJobSummaries"]) == 4 and first["NextToken"]

    def listed(**asked: object) -> list[str]:
        pages = sim.client.get_paginator("list_hyper_parameter_tuning_jobs")
        found = pages.paginate(**asked, PaginationConfig={"PageSize": 2})
        jobs = [job for page in found for job in page["HyperParameterTuningJobSummaries"]]
        return [job["HyperParameterTuningJobName"] for job in jobs]

    assert listed() == [*sorted(names), "other"]
    assert listed(NameContains="job-", SortOrder="Descending") == sorted(names, reverse=True)
    assert listed(SortBy="CreationTime", NameContains="job-") == names
    assert listed(StatusEquals="InProgress") == ["other"]
    created = sim.describe("job-b")["CreationTime"]
    assert listed(SortBy="CreationTime", CreationTimeAfter=created, NameContains="job-") == ["job-e", "job-d"]


def test_row_67_lists_of_the_training_jobs_of_a_tuning_job(simulate: Callable[..., Sim]) -> None:
    values = [0.4, 0.9, 0.1, 0.7]
    sim = simulate(lambda task: prints(code=1) if task.number % 5 == 0 else prints(values[task.number % 4]))
    sim.run(sim.request("job", jobs=12))

    def finals(**asked: str) -> list[float]:
        found = sim.children("job", SortBy="FinalObjectiveMetricValue", **asked)
        return [child["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for child in found]

    assert finals(SortOrder="Ascending") == sorted(finals(SortOrder="Ascending"))
    assert finals(SortOrder="Descending") == sorted(finals(), reverse=True)
    assert len(finals()) == 10
    assert len(sim.children("job", StatusEquals="Failed")) == 2
    page = sim.client.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName="job")
    assert len(page["TrainingJobSummaries"]) == 10 and page["NextToken"]


def test_row_68_a_page_is_taken_before_it_is_filtered(simulate: Callable[..., Sim]) -> None:
    sim = simulate(lambda task: prints(code=1) if task.number % 2 else prints(1.0))
    sim.run(sim.request("job", jobs=12))
    page = sim.client.list_training_jobs(MaxResults=5, StatusEquals="Failed")
    assert 0 < len(page["TrainingJobSummaries"]) < 5
    assert page["NextToken"]
    assert {job["TrainingJobStatus"] for job in page["TrainingJobSummaries"]} == {"Failed"}
