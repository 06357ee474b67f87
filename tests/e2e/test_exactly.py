"""Exactly as many training jobs as were asked for, over and over."""

from __future__ import annotations

import json

import pytest

from tunewright.core.job import JobStatus

from .place import Place

FUNCTION = """
import random, time
def train(rate):
    time.sleep(random.random() / 50)
    return rate
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_case_29_ten_jobs_are_ten_in_a_hundred_repeats(place: Place) -> None:
    place.script(FUNCTION, "exactly.py")
    function = {"reference": "exactly:train", "pickled": False, "path": [str(place.code)]}
    static = {"_tunewright": json.dumps({"function": function})}
    for repeat in range(100):
        request = place.request(f"exactly-{repeat}", "", jobs=10, parallel=4, seed=repeat, metrics=[])
        request["TrainingJobDefinition"]["StaticHyperParameters"] = static
        place.local.client.create_hyper_parameter_tuning_job(**request)
        job = place.end(f"exactly-{repeat}")
        assert (job.status, job.launched, job.counters.succeeded) == (JobStatus.COMPLETED, 10, 10)
        assert len(place.trials(job)) == 10
