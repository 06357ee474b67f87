"""A training job's name that comes again after the job was deleted."""

from __future__ import annotations

from typing import Any

import pytest

from .place import ROLE, Place


def request(place: Place, name: str, script: str) -> dict[str, Any]:
    whole = place.request("none", script)["TrainingJobDefinition"]
    static = whole.pop("StaticHyperParameters")
    return {"TrainingJobName": name, "HyperParameters": static, **whole, "RoleArn": ROLE}


def run(place: Place, name: str, text: str) -> dict[str, Any]:
    client = place.local.client
    client.create_training_job(**request(place, name, place.script(text)))
    while (told := client.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] == "InProgress":
        place.local.wait(name, 1.0, tuning=False)
    return dict(told)


@pytest.mark.parametrize("first", ["print('acc=1.0;')", "raise SystemExit(3)"])
def test_a_training_job_under_the_name_of_a_deleted_one_is_trained(place: Place, first: str) -> None:
    run(place, "again", first)
    place.local.client.delete_training_job(TrainingJobName="again")
    told = run(place, "again", "print('acc=2.0;')")
    assert (told["TrainingJobStatus"], told["FinalMetricDataList"][0]["Value"]) == ("Completed", 2.0)
