"""Training functions: what goes in, what comes out, and how a call that went wrong is told."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunewright.control.metrics import Scraper
from tunewright.core.spec import Channel, Function, Training
from tunewright.core.trial import Failure
from tunewright.executors.contract import access

from .functions_bench import FunctionBench, opened


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[FunctionBench]:
    yield from opened(tmp_path)


def values(bench: FunctionBench, name: str) -> list[tuple[str, float, int | None]]:
    """The metrics as the controller reads them."""
    data = bench.text(name, "metrics").encode()
    return [(o.metric, o.value, o.step) for o in Scraper((), "loss").pushed(data, 0.0, final=True)[0]]


# ---- in ----


def test_values_keep_their_types_and_ours_stay_out(bench: FunctionBench) -> None:
    def train(**given: object) -> None:
        print(sorted((name, repr(value)) for name, value in given.items()))

    given: dict[str, Any] = {
        "layers": 3,
        "lr": 0.5,
        "deep": True,
        "opt": "sgd",
        "code": "3",
        "whole": 2.0,
        "word": "true",
    }
    assert bench.run("types-1", train, **given).failure is None
    assert bench.text("types-1", "stdout") == f"{sorted((name, repr(value)) for name, value in given.items())}\n"


def test_lists_come_as_lists(bench: FunctionBench) -> None:
    def train(sizes: list[int], empty: None) -> float:
        return sum(sizes) if empty is None else -1

    task = bench.task("lists-1", train)
    given = {**task.hyperparameters, "sizes": "[1, 2]", "empty": "null"}
    assert bench.finish(replace(task, hyperparameters=given)).failure is None
    assert values(bench, "lists-1") == [("loss", 3.0, None)]


def test_only_what_the_function_takes(bench: FunctionBench) -> None:
    def train(lr: float, *, layers: int, depth: int = 1) -> float:
        return lr

    report = bench.run("unknown-1", train, lr=1, layer=2)
    assert (report.failure, report.exit_code) == (Failure.CLIENT, None)
    assert "train has no parameter 'layer'; it has lr, layers, depth" in report.reason
    assert "needs a value for its parameter 'layers'" in report.reason
    assert "'depth'" not in report.reason.replace("lr, layers, depth", "")


def test_the_contract_is_in_the_environment(bench: FunctionBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(lr: float) -> None:
        import os

        from tunewright.script import params

        assert params() == {"lr": 0.5}
        print(os.environ["SM_HP_LR"], os.environ["TRAINING_JOB_NAME"], os.environ["COLOUR"], os.getcwd())
        print(os.environ["OMP_NUM_THREADS"], os.path.isdir(os.environ["SM_OUTPUT_DATA_DIR"]))
        with open(os.path.join(os.environ["SM_INPUT_CONFIG_DIR"], "hyperparameters.json")) as file:
            print(file.read())
        os.environ["LEFT"] = "over"
        os.chdir("/")

    def check() -> None:
        import os

        print(os.environ.get("LEFT"), os.getcwd(), "SM_HP_LR" in os.environ)

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    here = os.getcwd()
    training = Training(environment={"COLOUR": "blue"})
    for name, function, given in (("env-1", train, {"lr": 0.5}), ("env-2", check, {})):
        assert bench.finish(bench.task(name, function, training=training, **given)).reason == ""
    first, second, third = bench.text("env-1", "stdout").splitlines()
    assert first == f"0.5 env-1 blue {here}"
    assert second == "1 True"
    assert json.loads(third)["lr"] == "0.5"
    assert bench.text("env-2", "stdout") == f"None {here} False\n"
    assert len(bench.executor.worker_pids()) == 1


def test_a_servers_functions_are_told_the_way_to_it(bench: FunctionBench, monkeypatch: pytest.MonkeyPatch) -> None:
    access.write(bench.root / "programs.env", {"AWS_ENDPOINT_URL": "http://here"})
    monkeypatch.setenv(access.VARIABLE, str(bench.root / "programs.env"))
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the operator's")

    def told() -> float:
        import os

        print(os.environ["AWS_ENDPOINT_URL"], "AWS_SESSION_TOKEN" in os.environ)
        return 1.0

    assert bench.run("served", told).failure is None
    assert bench.text("served", "stdout") == "http://here False\n"


def test_checkpoints_of_a_function_are_below_opt_ml(bench: FunctionBench) -> None:
    task = bench.task("kept", lambda: 1.0, training=Training(checkpoint_path="/srv/kept"))
    report = bench.finish(replace(task, checkpoint_uri=(bench.root / "kept").as_uri()))
    assert report.failure is Failure.CLIENT
    assert "CheckpointConfig.LocalPath '/srv/kept'" in report.reason


def test_the_users_thread_count_wins(bench: FunctionBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def train() -> None:
        import os

        print(os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"])

    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    bench.finish(bench.task("threads-1", train, training=Training(cpus=2)))
    assert bench.text("threads-1", "stdout") == "7 2\n"


def test_inputs_are_fetched_and_models_kept(bench: FunctionBench) -> None:
    def train() -> float:
        import os

        with open(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "numbers")) as file:
            data = file.read()
        with open(os.path.join(os.environ["SM_MODEL_DIR"], "weights"), "w") as file:
            file.write(data)
        return float(data)

    (bench.root / "data").mkdir()
    (bench.root / "data" / "numbers").write_text("0.25")
    output = bench.root / "out put"
    training = Training(
        output_path=output.as_uri(), channels=(Channel("train", (bench.root / "data").as_uri()),), compression="NONE"
    )
    report = bench.finish(bench.task("files-1", train, training=training))
    assert report.reason == "" and report.model == f"{output.as_uri()}/files-1/output/model/"
    assert (output / "files-1/output/model/weights").read_text() == "0.25"
    assert values(bench, "files-1") == [("loss", 0.25, None)]


def test_missing_inputs_are_told(bench: FunctionBench) -> None:
    training = Training(channels=(Channel("train", (bench.root / "nowhere").as_uri()),))
    report = bench.finish(bench.task("files-2", lambda: 1.0, training=training))
    assert (report.failure, report.exit_code) == (Failure.CLIENT, None)
    assert "'train'" in report.reason and "nowhere" in report.reason


def test_a_function_that_writes_no_model_has_none(bench: FunctionBench) -> None:
    assert bench.run("bare-1", lambda: 1.0).model == ""
    assert not (bench.root / "out put").exists()


# ---- out ----


@pytest.mark.parametrize(
    ("returned", "found"),
    [
        (0.5, [("loss", 0.5)]),
        (2, [("loss", 2.0)]),
        (None, []),
        ({}, []),
        ({"loss": 1, "validation:accuracy": 0.5}, [("loss", 1.0), ("validation:accuracy", 0.5)]),
        (math.inf, [("loss", math.inf)]),
    ],
    ids=repr,
)
def test_what_is_returned_is_emitted(bench: FunctionBench, returned: object, found: list[tuple[str, float]]) -> None:
    assert bench.run("returns-1", lambda: returned).failure is None
    assert [(metric, value) for metric, value, _ in values(bench, "returns-1")] == found


def test_nan_and_numpy_are_numbers(bench: FunctionBench) -> None:
    def train() -> dict[str, object]:
        import numpy

        return {"loss": numpy.float32("nan"), "count": numpy.int64(3)}

    assert bench.run("returns-2", train).failure is None
    (_, loss, _), count = values(bench, "returns-2")
    assert math.isnan(loss) and count == ("count", 3.0, None)


@pytest.mark.parametrize("returned", ["0.5", [0.5], (0.5, 0.1), {"loss": "low"}, {1: 0.5}, object], ids=repr)
def test_anything_else_is_the_users_mistake(bench: FunctionBench, returned: object) -> None:
    report = bench.run("returns-3", lambda: returned)
    assert report.failure is Failure.CLIENT
    assert "a number, a dictionary of metric names to numbers, or None" in report.reason
    if returned == {"loss": "low"}:
        assert "metric 'loss' must be a number, got the text 'low'" in report.reason
    assert values(bench, "returns-3") == []


def test_without_an_objective_a_number_still_has_a_name(bench: FunctionBench) -> None:
    task = bench.task("plain-1", lambda: 0.5)
    bench.finish(replace(task, objective=""))
    assert values(bench, "plain-1") == [("objective", 0.5, None)]


def test_a_table_that_is_returned_is_shown_in_one_line(bench: FunctionBench) -> None:
    def table() -> object:
        import pandas

        return pandas.DataFrame({"loss": [0.5, 0.4]})

    assert bench.run("returns-4", table).reason.endswith("it returned loss 0 0.5 1 0.4 of type DataFrame.")


def test_reports_come_in_order_and_what_is_returned_last(bench: FunctionBench) -> None:
    def train(epochs: int) -> float:
        from tunewright.script import report

        for epoch in range(epochs):
            report(step=epoch, loss=1 / (epoch + 1))
        return 0.1

    bench.run("curve-1", train, epochs=3)
    assert values(bench, "curve-1") == [("loss", 1.0, 0), ("loss", 0.5, 1), ("loss", 1 / 3, 2), ("loss", 0.1, None)]


def test_everything_printed_is_in_its_own_log(bench: FunctionBench) -> None:
    def train(word: str) -> None:
        import ctypes
        import logging
        import subprocess
        import sys

        print(word)
        print(word, file=sys.stderr)
        ctypes.CDLL(None).puts(f"{word} from C".encode())
        subprocess.run(["echo", f"{word} from a child"], check=True)
        logging.getLogger("bench").warning("%s logged", word)
        subprocess.run([sys.executable, "-c", f"import sys; print('{word} below', file=sys.stderr)"], check=True)
        assert input.__name__ == "input" and sys.stdin.read() == ""

    for number, word in enumerate(("hello", "world"), start=1):
        assert bench.run(f"prints-{number}", train, word=word).reason == ""
        out, err = bench.text(f"prints-{number}", "stdout"), bench.text(f"prints-{number}", "stderr")
        assert sorted(out.splitlines()) == [word, f"{word} from C", f"{word} from a child"]
        assert err.splitlines() == [word, f"{word} logged", f"{word} below"]
        other = "world" if word == "hello" else "hello"
        assert other not in out + err
    assert len(bench.executor.worker_pids()) == 1


def test_a_function_may_leave_its_streams_in_any_state(bench: FunctionBench) -> None:
    def train() -> None:
        import sys

        sys.stdout.close()
        sys.stderr = None  # type: ignore[assignment]

    assert bench.run("streams-1", train).failure is None
    assert bench.run("streams-2", lambda: print("still here")).failure is None
    assert bench.text("streams-2", "stdout") == "still here\n"


# ---- wrong ----


def test_an_exception_is_an_algorithm_error(bench: FunctionBench) -> None:
    folder = bench.module(
        "broken", "def train(lr):\n    return check(lr)\n\ndef check(lr):\n    raise ValueError('too big')\n"
    )
    report = bench.run("raises-1", Function("broken:train", path=(str(folder),)), lr=3)
    assert (report.failure, report.exit_code, report.killed) == (Failure.ALGORITHM, 1, False)
    assert report.reason.startswith("ValueError: too big\n")
    assert f'File "{folder}/broken.py", line 5, in check' in report.reason and "raise ValueError" in report.reason
    log = bench.text("raises-1", "stderr")
    assert log.startswith("Traceback") and "in train" in log and "worker" not in log
    assert bench.run("raises-2", lambda: 1.0).failure is None
    assert len(bench.executor.worker_pids()) == 2


@pytest.mark.parametrize(
    ("code", "failure", "exit_code"),
    [
        (None, None, 0),
        (0, None, 0),
        (3, Failure.ALGORITHM, 3),
        ("gone", Failure.ALGORITHM, 1),
        (256, Failure.ALGORITHM, 1),
    ],
)
def test_sys_exit_means_what_it_means_in_a_script(
    bench: FunctionBench, code: object, failure: Failure | None, exit_code: int
) -> None:
    def train() -> None:
        raise SystemExit(code)

    report = bench.run("exits-1", train)
    assert (report.failure, report.exit_code) == (failure, exit_code)
    if failure:
        assert str(code) in report.reason


def test_base_exceptions_do_not_end_the_worker(bench: FunctionBench) -> None:
    class Odd(BaseException):
        pass

    def train(kind: str) -> None:
        raise KeyboardInterrupt if kind == "interrupt" else Odd("strange")

    assert bench.run("odd-1", train, kind="interrupt").reason.startswith("KeyboardInterrupt")
    assert "Odd: strange" in bench.run("odd-2", train, kind="other").reason
    assert len(bench.executor.worker_pids()) == 1


def test_a_function_that_cannot_be_had(bench: FunctionBench) -> None:
    folder = str(bench.module("holey", "import nothing_of_this_name\n"))
    bench.module("fine", "value = 3\n")
    for number, (reference, why) in enumerate(
        (
            ("holey:train", "'holey' cannot be imported: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
            ("missing:train", "'missing' cannot be imported"),
            ("fine:train", "has no 'train'"),
            ("fine:value", "is not a function: 3"),
        )
    ):
        report = bench.run(f"nowhere-{number}", Function(reference, path=(folder,)))
        assert (report.failure, report.exit_code) == (Failure.CLIENT, None)
        assert why in report.reason
    assert "nothing_of_this_name" in bench.text("nowhere-0", "stderr")


# ---- many ----


def test_two_hundred_calls_share_a_worker(bench: FunctionBench) -> None:
    def train(x: float) -> float:
        return x * x

    task = bench.task("many-0", train)
    assert task.training.function is not None
    for number in range(200):
        assert bench.run(f"many-{number}", task.training.function, x=number).failure is None
        bench.executor.forget(f"many-{number}", 1)
    assert values(bench, "many-199") == [("loss", 199.0**2, None)]
    assert len(bench.executor.worker_pids()) == 1
    assert len(list((bench.home / "jobs").iterdir())) == 200
    bench.executor.close()
    bench.open.clear()
    assert list((bench.home / "spare").iterdir()) == []


def test_calls_run_side_by_side_up_to_the_slots(bench: FunctionBench) -> None:
    def train(place: str, wanted: int) -> None:
        import os
        import time

        open(os.path.join(place, os.environ["TRAINING_JOB_NAME"]), "w").close()
        while len(os.listdir(place)) < wanted:
            time.sleep(0.005)

    bench.start(slots="2")
    meeting = bench.root / "meeting"
    meeting.mkdir()
    tasks = [bench.task(f"wide-{number}", train, place=str(meeting), wanted=2) for number in range(3)]
    assert [bench.executor.launch(task) is not None for task in tasks] == [True, True, False]
    assert all(bench.seen.exit(task.name).failure is None for task in tasks[:2])
    assert bench.finish(tasks[2]).failure is None


def test_more_gpus_than_there_are(bench: FunctionBench) -> None:
    bench.start(slots="cpu=2,gpu=1")
    report = bench.finish(bench.task("gpus-1", lambda: 1.0, training=Training(gpus=2)))
    assert report.failure is Failure.CLIENT and "2 GPUs" in report.reason

    def train() -> None:
        import os

        print(os.environ["CUDA_VISIBLE_DEVICES"])

    bench.finish(bench.task("gpus-2", train, training=Training(gpus=1)))
    bench.finish(bench.task("gpus-3", train))
    assert bench.text("gpus-2", "stdout") == "0\n"
    assert bench.text("gpus-3", "stdout") == "\n"


def test_a_directory_that_is_gone_stops_nothing(bench: FunctionBench, monkeypatch: pytest.MonkeyPatch) -> None:
    place = bench.root / "gone"
    place.mkdir()
    monkeypatch.chdir(place)
    place.rmdir()
    assert bench.run("gone-1", Function("os:getpid")).failure is None


def test_variables_and_directory_of_the_controller_are_those_of_now(
    bench: FunctionBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = lambda: print(os.environ.get("PROJECT"), os.getcwd())  # noqa: E731 - travels by value
    for place, project in enumerate(("one", "two"), start=1):
        monkeypatch.setenv("PROJECT", project)
        folder = tmp_path / project
        folder.mkdir()
        monkeypatch.chdir(folder)
        assert bench.run(f"around-{place}", function).reason == ""
        assert bench.text(f"around-{place}", "stdout") == f"{project} {folder}\n"
    monkeypatch.delenv("PROJECT")
    assert bench.run("around-3", function).reason == ""
    assert bench.text("around-3", "stdout").startswith("None ")
