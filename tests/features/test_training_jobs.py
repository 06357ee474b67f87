"""Rows 69 to 83: training jobs, their states, time limits, files, retries and resources."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import WaiterError

from tunewright.aws.logs.service import Logs
from tunewright.core.errors import NoCapacity
from tunewright.core.ports import Task
from tunewright.executors import tasklock
from tunewright.executors.workdir import Workdir
from tunewright.testing.world import Hostility, Program

from .ground import Real, Sim, Wire, prints, refusal, x_of

SLEEP = "import time\nprint('acc=0.5;', flush=True)\ntime.sleep(300)\n"


def phases(child: Wire) -> list[str]:
    return [change["Status"] for change in child["SecondaryStatusTransitions"]]


def members(real: Real, uri: str) -> dict[str, str]:
    """The files in a stored archive and their texts."""
    with tarfile.open(real.objects.path(uri)) as archive:
        files = [member for member in archive.getmembers() if member.isfile()]
        texts = {member.name: archive.extractfile(member) for member in files}
        return {name: file.read().decode() for name, file in texts.items() if file is not None}


def stop(real: Real, name: str) -> None:
    real.client.stop_training_job(TrainingJobName=name)


def test_row_69_plain_training_jobs(real: Real) -> None:
    command: Wire = {
        "ContainerEntrypoint": ["/bin/sh", "-c"],
        "ContainerArguments": ["echo from $0 $1", "the", "shell"],
    }
    image: Wire = {"TrainingImage": "mine", "TrainingInputMode": "File"}
    found = real.train(real.plain("shell", AlgorithmSpecification={**image, **command}))
    assert found["TrainingJobStatus"] == "Completed"
    assert "TuningJobArn" not in found
    assert real.log("shell") == "from the shell\n"
    waiter = real.client.get_waiter("training_job_completed_or_stopped")
    often = {"WaiterConfig": {"Delay": 0.1, "MaxAttempts": 600}}
    waiter.wait(TrainingJobName="shell", **often)
    real.client.create_training_job(**real.plain("sleeper", SLEEP))
    real.until(lambda: "acc" in real.log("sleeper"), "sleeper", tuning=False)
    stop(real, "sleeper")
    waiter.wait(TrainingJobName="sleeper", **often)
    assert real.child("sleeper")["TrainingJobStatus"] == "Stopped"
    real.client.create_training_job(**real.plain("broken", "raise SystemExit(1)"))
    with pytest.raises(WaiterError, match="Failed"):
        waiter.wait(TrainingJobName="broken", **often)


def test_row_70_secondary_statuses(real: Real) -> None:
    found = real.train(real.plain("job", "print('acc=1;')"))
    changes = found["SecondaryStatusTransitions"]
    assert phases(found) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    for change, following in itertools.pairwise(changes):
        assert change["StartTime"] <= change["EndTime"] == following["StartTime"]
    assert changes[-1]["StartTime"] == changes[-1]["EndTime"]
    assert found["TrainingStartTime"] == changes[1]["StartTime"]


def test_row_71_the_run_time_of_a_training_job(real: Real) -> None:
    script = "import os\nopen(os.environ['SM_MODEL_DIR'] + '/model.txt', 'w').write('half')\n" + SLEEP
    found = real.train(real.plain("job", script, StoppingCondition={"MaxRuntimeInSeconds": 2}))
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert members(real, found["ModelArtifacts"]["S3ModelArtifacts"]) == {"model.txt": "half"}


def test_row_72_sigterm_then_sigkill(real: Real, simulate: Callable[..., Sim], tmp_path: Path) -> None:
    script = """
        import os, signal, sys, time
        def told(*_):
            open(os.environ["SM_MODEL_DIR"] + "/last.txt", "w").write("words")
            sys.exit(0)
        signal.signal(signal.SIGTERM, told)
        print("acc=0.5;", flush=True)
        time.sleep(300)
    """
    real.client.create_training_job(**real.plain("listens", script))
    real.until(lambda: "acc" in real.log("listens"), "listens", tuning=False)
    stop(real, "listens")
    found = real.trained("listens")
    assert found["TrainingJobStatus"] == "Stopped"
    assert members(real, found["ModelArtifacts"]["S3ModelArtifacts"]) == {"last.txt": "words"}
    # What the hands are told is 120 s in strict ...
    sim = simulate(lambda task: prints(x_of(task), seconds=1000.0))
    sim.create(sim.request("job", jobs=1))
    sim.until(lambda: bool(sim.disk.runs))
    assert [run.task.grace for run in sim.disk.runs.values()] == [120.0]
    # ... and after the time that they are told they kill; here it is a second.
    (tmp_path / "brief").mkdir()
    brief = Real(tmp_path / "brief", TUNEWRIGHT_STOP_GRACE_SECONDS="1")
    try:
        deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEP
        brief.client.create_training_job(**brief.plain("deaf", deaf))
        brief.until(lambda: "acc" in brief.log("deaf"), "deaf", tuning=False)
        stop(brief, "deaf")
        found = brief.trained("deaf")
        assert found["TrainingJobStatus"] == "Stopped"
        trial = brief.host.reads.trial("deaf").trial
        asked = next(change.at for change in trial.transitions if change.phase == "Stopping")
        assert trial.exit_code == -signal.SIGKILL
        assert trial.ended is not None and trial.ended - asked >= 0.9
    finally:
        brief.close()


def test_row_75_exit_code_and_failure_file(real: Real) -> None:
    script = """
        import os
        open(os.path.join(os.environ["SM_OUTPUT_DIR"], "failure"), "w").write("no luck " + "x" * 3000)
        raise SystemExit(3)
    """
    found = real.train(real.plain("job", script))
    assert found["TrainingJobStatus"] == "Failed"
    assert found["FailureReason"].startswith("AlgorithmError: no luck xxx")
    assert len(found["FailureReason"]) == 1024
    assert real.host.reads.trial("job").trial.exit_code == 3


def test_row_76_artifacts_and_log_stream(real: Real) -> None:
    script = """
        import os
        open(os.environ["SM_MODEL_DIR"] + "/model.txt", "w").write("m")
        open(os.environ["SM_OUTPUT_DATA_DIR"] + "/more.txt", "w").write("o")
        print("acc=1;")
    """
    real.run(real.tune("job", script, jobs=1))
    [child] = real.children("job")
    name = child["TrainingJobName"]
    base = f"s3://bucket/out/{name}/output"
    found = real.child(name)
    assert found["ModelArtifacts"]["S3ModelArtifacts"] == f"{base}/model.tar.gz"
    assert members(real, f"{base}/model.tar.gz") == {"model.txt": "m"}
    assert members(real, f"{base}/output.tar.gz") == {"more.txt": "o"}
    logs = Logs(real.host.reads, real.local.log_paths, "123456789012", time.time)

    def ask(operation: str, **request: str) -> Wire:
        body = json.dumps({"logGroupName": "/aws/sagemaker/TrainingJobs", **request}).encode()
        answer: Wire = json.loads(logs.handle(operation, body, "us-east-1")[2])
        return answer

    [stream] = ask("DescribeLogStreams", logStreamNamePrefix=f"{name}/")["logStreams"]
    assert re.fullmatch(rf"{name}/algo-1-[0-9]+", stream["logStreamName"])
    events = ask("GetLogEvents", logStreamName=stream["logStreamName"])["events"]
    assert [event["message"] for event in events] == ["acc=1;"]


SAVER = """
    import os, time
    folder = os.environ["TUNEWRIGHT_CHECKPOINT_DIR"]
    found = sorted(os.listdir(folder))
    print("found", found, flush=True)
    if "old" in found:
        os.unlink(folder + "/old")
    open(folder + "/new", "w").write("1")
    print("acc=0.5;", flush=True)
    time.sleep({seconds})
"""


def test_row_78_checkpoints(real: Real) -> None:
    real.put("s3://bucket/points/old", "0")
    points = {"CheckpointConfig": {"S3Uri": "s3://bucket/points"}}
    real.client.create_training_job(**real.plain("job", SAVER.format(seconds=300), **points))
    real.until(lambda: "acc" in real.log("job"), "job", tuning=False)
    assert "found ['old']" in real.log("job"), "restored at the start"
    assert real.objects.exists("s3://bucket/points/new"), "uploaded while it runs"
    assert not real.objects.exists("s3://bucket/points/old"), "a deletion is mirrored"
    stop(real, "job")
    real.trained("job")
    real.run(real.tune("tuned", SAVER.format(seconds=0), jobs=2, training=points))
    names = [child["TrainingJobName"] for child in real.children("tuned")]
    assert all("found []" in real.log(name) for name in names), "each training job has a prefix of its own"
    assert all(real.objects.exists(f"s3://bucket/points/{name}/new") for name in names)


SPOT: Wire = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 3600},
    "CheckpointConfig": {"S3Uri": "s3://bucket/points"},
}


def shim_of(real: Real, name: str, attempt: int = 1) -> int:
    """The process that looks after a training job."""
    state = tasklock.read_state(Workdir.of(str(real.settings.home), name, attempt))
    assert state.shim is not None
    return state.shim[0]


def test_row_79_managed_spot_training(real: Real, simulate: Callable[..., Sim]) -> None:
    script = """
        import os, time
        saved = os.environ["TUNEWRIGHT_CHECKPOINT_DIR"] + "/epoch"
        if os.path.exists(saved):
            print("resumed from epoch", open(saved).read())
            print("acc=0.9;")
        else:
            open(saved, "w").write("3")
            print("acc=0.5;", flush=True)
            time.sleep(300)
    """
    real.create(real.tune("job", script, jobs=1, training=SPOT))
    [child] = real.until(lambda: [c for c in real.children("job") if "acc" in real.log(c["TrainingJobName"])], "job")
    name = child["TrainingJobName"]
    os.kill(shim_of(real, name), signal.SIGTERM)
    real.end("job")
    found = real.child(name)
    assert found["TrainingJobStatus"] == "Completed"
    assert "resumed from epoch 3" in real.log(name)
    story = [phase for phase in phases(found) if phase not in ("Downloading", "Uploading")]
    assert story == ["Starting", "Training", "Interrupted", "Starting", "Training", "Completed"]
    # MaxRuntimeInSeconds holds over all interruptions, MaxWaitTimeInSeconds for the wait as well.
    sim = simulate(lambda _: prints(0.5, seconds=20.0, code=-15))
    waits = {**SPOT, "StoppingCondition": {"MaxRuntimeInSeconds": 30, "MaxWaitTimeInSeconds": 40}}
    assert spot_end(sim, "interrupted", waits) == ("Stopped", "MaxRuntimeExceeded")
    sim.controller(Hostility(crowded=1.0))
    began = sim.clock.now()
    assert spot_end(sim, "waiting", waits) == ("Stopped", "MaxWaitTimeExceeded")
    assert 40 <= sim.clock.now() - began <= 42
    without = {"StoppingCondition": {"MaxRuntimeInSeconds": 30, "MaxWaitTimeInSeconds": 40}}
    assert "Invalid MaxWaitTimeInSeconds" in sim.refused(sim.request("wrong", training=without))


def test_what_waits_is_neither_run_time_nor_billed(simulate: Callable[..., Sim]) -> None:
    """Savings are (1 - BillableTimeInSeconds / TrainingTimeInSeconds) x 100, in our case the share that was waited."""
    sim = simulate(lambda task: prints(0.5, seconds=20.0, code=-15 if task.attempt == 1 else 0))
    limits = {**SPOT, "StoppingCondition": {"MaxRuntimeInSeconds": 45, "MaxWaitTimeInSeconds": 1000}}
    sim.create(sim.request("job", jobs=1, training=limits))
    sim.until(lambda: bool(sim.children("job")) and sim.disk.live(sim.clock.now()) == 1)
    [child] = sim.children("job")
    name = child["TrainingJobName"]
    sim.controller(Hostility(crowded=1.0))
    sim.until(lambda: "Interrupted" in phases(sim.child(name)))
    again = sim.clock.now() + 60
    sim.until(lambda: sim.clock.now() >= again)
    assert sim.child(name)["TrainingJobStatus"] == "InProgress"
    sim.controller()
    sim.end("job")
    found = sim.child(name)
    assert found["TrainingJobStatus"] == "Completed"
    assert 40 <= found["BillableTimeInSeconds"] <= 42
    assert 100 <= found["TrainingTimeInSeconds"] <= 104


def spot_end(sim: Sim, name: str, training: Wire) -> tuple[str, str]:
    """How the one training job of a tuning job ended."""
    sim.run(sim.request(name, jobs=1, training=training))
    [child] = sim.children(name)
    found = sim.child(child["TrainingJobName"])
    return found["TrainingJobStatus"], found["SecondaryStatus"]


def lost_after(seconds: float) -> Callable[[Task], Program]:
    return lambda _: prints(0.5, seconds=seconds, code=-9)


def test_row_80_retries(real: Real, simulate: Callable[..., Sim]) -> None:
    retries = {"RetryStrategy": {"MaximumRetryAttempts": 2}}
    sim = simulate(lambda task: prints(0.5, code=-9 if task.attempt <= 2 else 0))
    sim.run(sim.request("lucky", jobs=1, training=retries))
    [child] = sim.children("lucky")
    found = sim.child(child["TrainingJobName"])
    assert found["TrainingJobStatus"] == "Completed"
    assert [phase for phase in phases(found) if phase != "Training"] == [
        *("Starting", "Restarting") * 2,
        "Starting",
        "Completed",
    ]
    assert sorted(sim.disk.starts) == [(child["TrainingJobName"], attempt) for attempt in (1, 2, 3)]
    sim.disk.program = lost_after(10.0)
    sim.run(sim.request("unlucky", jobs=1, training=retries))
    [child] = sim.children("unlucky")
    found = sim.child(child["TrainingJobName"])
    assert found["TrainingJobStatus"] == "Failed"
    assert found["FailureReason"].startswith("InternalServerError: ")
    assert phases(found).count("Starting") == 3
    # A worker that is really lost: the process that looks after the training job is killed.
    real.create(real.tune("lost", SLEEP, jobs=1, training=retries))
    [child] = real.until(lambda: [c for c in real.children("lost") if "acc" in real.log(c["TrainingJobName"])], "lost")
    name = child["TrainingJobName"]
    os.kill(shim_of(real, name), signal.SIGKILL)
    real.until(lambda: phases(real.child(name)).count("Training") == 2, "lost")
    assert "Restarting" in phases(real.child(name))
    real.client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="lost")
    real.end("lost")


def test_row_82_warm_pools_between_training_jobs(real: Real) -> None:
    """What prepares and looks after a training job stays for the next one."""
    real.run(real.tune("job", "print('acc=1;')", jobs=3))
    keepers = [shim_of(real, child["TrainingJobName"]) for child in real.children("job")]
    assert len(set(keepers)) == 1


def test_row_83_quotas(sim: Sim) -> None:
    message = sim.refused(sim.request("eleven", jobs=20, parallel=11), "ResourceLimitExceeded")
    assert "10" in message
    wider = sim.changed(quotas="parallel=20,jobs=1000")
    wider.create_hyper_parameter_tuning_job(**sim.request("eleven", jobs=1000, parallel=11))
    over = sim.request("over", jobs=1001, parallel=21)
    message = refusal(lambda: wider.create_hyper_parameter_tuning_job(**over), "ResourceLimitExceeded")
    assert "is 20" in message and "is 1000" in message


def configs(*kinds: str) -> Wire:
    listed = [{"InstanceType": kind, "InstanceCount": 1, "VolumeSizeInGB": 1} for kind in kinds]
    return {"HyperParameterTuningResourceConfig": {"InstanceConfigs": listed, "AllocationStrategy": "Prioritized"}}


def test_row_81_instance_configurations(sim: Sim, tmp_path: Path) -> None:
    """Tried in their order, and of both forms what Describe makes of them."""
    configurations_in_order(sim)
    forms_of_the_configuration(sim)
    settings = {
        "TUNEWRIGHT_INSTANCES": "ml.m5.large cpu=2; ml.p3.2xlarge cpu=4,gpu=1",
        "TUNEWRIGHT_SLOTS": "cpu=4,gpu=0",
    }
    real = Real(tmp_path / "offering", **settings)
    try:
        script = "import os\nprint('type', os.environ['SM_CURRENT_INSTANCE_TYPE'])\nprint('acc=1;')"
        request = real.tune("job", script, jobs=1, training=configs("ml.c5.large", "ml.p3.2xlarge", "ml.m5.large"))
        del request["TrainingJobDefinition"]["ResourceConfig"]
        assert real.run(request)["HyperParameterTuningJobStatus"] == "Completed"
        [child] = real.children("job")
        found = real.child(child["TrainingJobName"])
        assert found["ResourceConfig"]["InstanceType"] == "ml.m5.large", "one is not offered, one is too large"
        assert "type ml.m5.large" in real.log(child["TrainingJobName"])
        request = real.tune("none", script, jobs=1, training=configs("ml.c5.large", "ml.p3.2xlarge"))
        del request["TrainingJobDefinition"]["ResourceConfig"]
        real.run(request)
        [child] = real.children("none")
        assert child["FailureReason"].startswith("CapacityError: Unable to provision ml.c5.large")
        assert "Unable to provision ml.p3.2xlarge" in child["FailureReason"]
        assert real.describe("none")["TrainingJobStatusCounters"]["RetryableError"] == 1
    finally:
        real.close()


PREFERRED = ({"InstanceType": "ml.p3.2xlarge", "InstanceCount": 1}, {"InstanceType": "ml.m5.large", "InstanceCount": 2})


def test_preferences_of_a_plain_training_job_are_tried_in_order(tmp_path: Path) -> None:
    """What there is not is passed over; Describe names what was chosen."""
    settings = {
        "TUNEWRIGHT_INSTANCES": "ml.m5.large cpu=1; ml.p3.2xlarge cpu=4,gpu=1",
        "TUNEWRIGHT_SLOTS": "cpu=4,gpu=0",
    }
    real = Real(tmp_path, **settings)
    try:
        script = "import os\nprint('type', os.environ['SM_CURRENT_INSTANCE_TYPE'], os.environ['SM_HOSTS'])\n"
        resources: Wire = {"VolumeSizeInGB": 1, "InstancePreferences": list(PREFERRED)}
        found = real.train(real.plain("job", script, ResourceConfig=resources))
        assert found["TrainingJobStatus"] == "Completed", found["FailureReason"]
        chosen = {"SelectedInstanceType": "ml.m5.large", "SelectedInstanceCount": 2}
        assert found["ResourceConfig"] == {**resources, **chosen}
        assert real.log("job") == 'type ml.m5.large ["algo-1","algo-2"]\n'
        resources = {"VolumeSizeInGB": 1, "InstanceCount": 1, "InstancePreferences": [{"InstanceType": "ml.c5.large"}]}
        found = real.train(real.plain("none", script, ResourceConfig=resources))
        assert found["FailureReason"].startswith("CapacityError: Unable to provision ml.c5.large")
        assert found["ResourceConfig"] == resources
    finally:
        real.close()


def configurations_in_order(sim: Sim) -> None:
    """Each is waited for, then the next one is tried as well; one that is not to be had at all is not waited for."""
    tried: list[tuple[float, str]] = []

    def room(task: Task) -> bool:
        kind = task.training.instance_type or ""
        tried.append((sim.clock.now(), kind))
        if kind == "ml.c5.large":
            raise NoCapacity("there is no ml.c5.large")
        return kind == "ml.m5.large"

    sim.disk.room = room
    began = sim.clock.now()
    request = sim.request(
        "job", jobs=1, training=configs("ml.c5.large", "ml.p3.2xlarge", "ml.g5.xlarge", "ml.m5.large")
    )
    del request["TrainingJobDefinition"]["ResourceConfig"]
    assert sim.run(request)["HyperParameterTuningJobStatus"] == "Completed"
    firsts = {kind: next(at for at, tried_kind in tried if tried_kind == kind) - began for _, kind in tried}
    assert list(firsts) == ["ml.c5.large", "ml.p3.2xlarge", "ml.g5.xlarge", "ml.m5.large"]
    waits = list(firsts.values())
    assert waits[0] == waits[1] < 5 and 30 <= waits[2] < 35 and 60 <= waits[3] < 65
    [child] = sim.children("job")
    expected = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
    assert sim.child(child["TrainingJobName"])["ResourceConfig"] == expected
    sim.disk.room = lambda _: True


def forms_of_the_configuration(sim: Sim) -> None:
    flat: Wire = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}

    def asked(name: str, **training: object) -> Wire:
        request = sim.request(name, training=training)
        if "ResourceConfig" not in training:
            del request["TrainingJobDefinition"]["ResourceConfig"]
        return request

    sim.create(asked("flat", HyperParameterTuningResourceConfig=flat))
    assert sim.describe("flat")["TrainingJobDefinition"]["ResourceConfig"] == flat
    listed = {"InstanceConfigs": [flat, {**flat, "InstanceType": "ml.c5.large"}]}
    sim.create(asked("listed", HyperParameterTuningResourceConfig=listed))
    described = sim.describe("listed")["TrainingJobDefinition"]
    assert described["HyperParameterTuningResourceConfig"] == listed
    assert "together" in sim.refused(asked("both", ResourceConfig=flat, HyperParameterTuningResourceConfig=flat))
    assert "InstanceConfigs" in sim.refused(asked("mixed", HyperParameterTuningResourceConfig={**flat, **listed}))
