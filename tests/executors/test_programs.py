"""Training programs of every bad kind, as real processes."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from tunewright.core.spec import Channel
from tunewright.core.trial import Failure
from tunewright.executors.slots import Slots

from .bench import Bench, alive

FORKS = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sleep = [sys.executable, "-c", "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"]
first = subprocess.Popen(sleep)
second = subprocess.Popen(sleep, start_new_session=True)
print(first.pid, second.pid, flush=True)
"""


def members(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return sorted(tar.getnames())


# ---- the contract ----


def test_arguments_and_files(bench: Bench) -> None:
    text = (
        "import json, os, sys\n"
        "print(json.dumps([sys.argv[1:], json.load(open(os.environ['SM_INPUT_CONFIG_DIR'] + '/hyperparameters.json')),"
        "json.loads(os.environ['SM_HPS']), os.environ['SM_HP_LEARNING-RATE'], os.environ['WORD'], os.getcwd()]))\n"
    )
    values = {
        "title": "a b",
        "learning-rate": "1e-05",
        "batch_size": "64",
        "opt": '"sgd"',
        "n": "237",
        "v": "true",
        "_tuning_objective_metric": "loss",
    }
    task = bench.task("contract-1", text, values=values, environment={"WORD": "kept as it is $HOME"})
    assert bench.run(task).exit_code == 0, bench.stderr("contract-1")
    argv, file, hps, rate, word, directory = json.loads(bench.stdout("contract-1"))
    numbers = ["--batch_size", "64", "--learning-rate", "1e-05", "-n", "237", "--opt", "sgd"]
    assert argv == [*numbers, "--title", "a b", "-v", "True"]
    assert file == dict(task.hyperparameters)
    assert hps == {"title": "a b", "learning-rate": 1e-05, "batch_size": 64, "opt": "sgd", "n": 237, "v": True}
    assert (rate, word) == ("1e-05", "kept as it is $HOME")
    assert directory == str(bench.job("contract-1") / "code")


def test_model_and_output_are_packed(bench: Bench) -> None:
    text = (
        "import os\n"
        "os.makedirs(os.environ['SM_MODEL_DIR'] + '/deep')\n"
        "open(os.environ['SM_MODEL_DIR'] + '/deep/weights.bin', 'wb').write(b'x' * 5000)\n"
        "open(os.environ['SM_OUTPUT_DATA_DIR'] + '/plot.txt', 'w').write('plot')\n"
    )
    report = bench.run(bench.task("packs-1", text))
    place = bench.root / "out put" / "packs-1" / "output"
    assert report.model == (place / "model.tar.gz").as_uri()
    assert members(place / "model.tar.gz") == ["deep", "deep/weights.bin"]
    assert members(place / "output.tar.gz") == ["plot.txt"]
    left = sorted(path.name for path in bench.job("packs-1").rglob("*") if path.is_file())
    config = ["hyperparameters.json", "inputdataconfig.json", "resourceconfig.json"]
    assert left == sorted(["exit.json", "lock", "stderr.log", "stdout.log", *config]), "the room is given back"


def test_nothing_left_behind_is_an_empty_model_and_no_output(bench: Bench) -> None:
    bench.run(bench.task("empty-1", "pass"))
    place = bench.root / "out put" / "empty-1" / "output"
    assert members(place / "model.tar.gz") == []
    assert not (place / "output.tar.gz").exists()


def test_compression_none_stores_files(bench: Bench) -> None:
    text = "import os\nopen(os.environ['SM_MODEL_DIR'] + '/weights', 'w').write('w')\n"
    report = bench.run(bench.task("files-1", text, compression="NONE"))
    assert report.model.endswith("/files-1/output/model/")
    assert (bench.root / "out put/files-1/output/model/weights").read_text(encoding="utf-8") == "w"


def test_channels_arrive_and_originals_stay(bench: Bench) -> None:
    data = bench.root / "my data"
    (data / "sub").mkdir(parents=True)
    (data / "sub" / "rows.csv").write_text("1,2\n", encoding="utf-8")
    text = (
        "import os\npath = os.environ['SM_CHANNEL_TRAIN'] + '/sub/rows.csv'\nprint(open(path).read(), end='')\n"
        "open(path, 'w').write('spoilt')\n"
    )
    task = bench.task("inputs-1", text, channels=(Channel("train", data.as_uri()),))
    assert bench.run(task).exit_code == 0
    assert bench.stdout("inputs-1") == "1,2\n"
    assert (data / "sub" / "rows.csv").read_text(encoding="utf-8") == "1,2\n"


def test_a_source_archive_from_the_object_directory(bench: Bench) -> None:
    folder = bench.source("archived", "import helper\nprint(helper.WORD)\n")
    (folder / "helper.py").write_text("WORD = 'packed'\n", encoding="utf-8")
    place = bench.objects / "bucket" / "job" / "source"
    place.mkdir(parents=True)
    with tarfile.open(place / "sourcedir.tar.gz", "w:gz") as tar:
        tar.add(folder, arcname=".")
    uri = '"s3://bucket/job/source/sourcedir.tar.gz"'
    values = {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": uri}
    assert bench.run(bench.task("archive-1", values=values)).exit_code == 0
    assert bench.stdout("archive-1") == "packed\n"


def test_a_source_archive_cannot_escape(bench: Bench) -> None:
    place = bench.root / "evil.tar.gz"
    with tarfile.open(place, "w:gz") as tar:
        member = tarfile.TarInfo("../../../escaped.py")
        tar.addfile(member)
    report = bench.run(bench.task("evil-1", values={"sagemaker_submit_directory": place.as_uri()}))
    assert report.failure is Failure.CLIENT and "leave the code directory" in report.reason
    assert not list(bench.home.rglob("escaped.py"))


def test_an_entrypoint_runs_instead_of_a_script(bench: Bench) -> None:
    words = ("/bin/sh", "-c", 'echo "$0" && echo $TRAINING_JOB_NAME && ls /opt/ml/input')
    task = bench.task("entry-1", entrypoint=words, arguments=("a b",))
    report = bench.run(replace(task, hyperparameters={}))
    assert report.exit_code == 0, report.reason
    assert bench.stdout("entry-1").splitlines()[:2] == ["a b", "entry-1"]


def test_checkpoints_are_shared_with_their_uri(bench: Bench) -> None:
    text = "import os\nopen(os.environ['TUNEWRIGHT_CHECKPOINT_DIR'] + '/epoch', 'a').write('x')\n"
    for number in (1, 2):
        task = replace(bench.task(f"checks-{number}", text), checkpoint_uri="s3://bucket/checks")
        assert bench.run(task).exit_code == 0, bench.stderr(task.name)
    assert (bench.objects / "bucket/checks/epoch").read_text(encoding="utf-8") == "xx"


# ---- what cannot run ----


@pytest.mark.parametrize(
    ("name", "values", "training", "words"),
    [
        ("no-script", {"sagemaker_program": "other.py"}, {}, ["no script 'other.py'", "found there: train.py"]),
        ("no-source", {"sagemaker_submit_directory": "file:///nowhere/at/all"}, {}, ["does not exist"]),
        ("no-scheme", {"sagemaker_submit_directory": "relative/dir"}, {}, ["file:///absolute"]),
        ("outside", {"sagemaker_program": "../train.py"}, {}, ["outside its source directory"]),
        ("no-python", {}, {"python": "python9"}, ["No such file: python9"]),
        ("no-entry", {}, {"entrypoint": ("frobnicate",)}, ["No such file: frobnicate"]),
        ("no-data", {}, {"channels": (Channel("train", "s3://bucket/none"),)}, ["No objects found under", "'train'"]),
        ("bad-data", {}, {"channels": (Channel("train", "s3://bucket/../x"),)}, ["train", ".."]),
        ("bad-channel", {}, {"channels": (Channel("../up", "s3://bucket/x"),)}, ["cannot be the name"]),
        ("no-gpu", {}, {"gpus": 3}, ["asks for 3 GPUs", "TUNEWRIGHT_SLOTS"]),
        ("no-algorithm", {"sagemaker_program": ""}, {"algorithm": "alchemy"}, ["algorithm 'alchemy'"]),
        ("bad-output", {}, {"output_path": "ftp://somewhere"}, ["could not be stored", "ftp://"]),
    ],
)
def test_what_cannot_run_says_so(
    bench: Bench,
    name: str,
    values: dict[str, str],
    training: dict[str, object],
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    report = bench.run(bench.task(name, "print('hello')", values=values, **training))
    assert report.failure is Failure.CLIENT
    for word in words:
        assert word in report.reason
    assert len(report.reason) <= 1024
    if name not in ("no-gpu", "bad-output"):
        assert report.exit_code is None and report.started is None
        assert words[0] in bench.stderr(name)


def test_an_image_alone_is_explained(bench: Bench) -> None:
    report = bench.run(replace(bench.task("image-1", image="repo/image:1"), hyperparameters={"lr": "1"}))
    assert report.failure is Failure.CLIENT
    assert "repo/image:1" in report.reason and "sagemaker_program" in report.reason


def test_a_syntax_error_shows_itself(bench: Bench) -> None:
    report = bench.run(bench.task("syntax-1", "def (:\n"))
    assert (report.failure, report.exit_code) == (Failure.ALGORITHM, 1)
    assert "SyntaxError" in report.reason and "ExecuteUserScriptError" in report.reason


@pytest.mark.parametrize("where", ["sys.stderr", "open(os.environ['SM_OUTPUT_DIR'] + '/failure', 'w')"])
def test_a_reason_moves_no_terminals_cursor(bench: Bench, where: str) -> None:
    said = r"50 %\r\x1b[1;31mValueError\x1b[0m: bad\x1b]52;c;ZXZpbA==\x07 path\x1b[2J\ttab\x00\n"
    report = bench.run(
        bench.task("colour-1", f"import os, sys\n{where}.write({said!r}.encode().decode('unicode_escape'))\nexit(3)")
    )
    assert "50 %\nValueError: bad path\ttab" in report.reason
    assert all(character.isprintable() or character in "\n\t" for character in report.reason)


def test_an_uncaught_error_shows_its_last_lines(bench: Bench) -> None:
    text = "print('x' * 100000)\nraise ValueError('bad path: /data/ü')\n"
    report = bench.run(bench.task("raises-1", text))
    assert "ValueError: bad path: /data/ü" in report.reason and len(report.reason) <= 1024


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("oom-1", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", -9),
        ("oom-2", "raise SystemExit(137)", 137),
    ],
)
def test_killed_programs_are_likely_out_of_memory(bench: Bench, name: str, text: str, code: int) -> None:
    report = bench.run(bench.task(name, text))
    assert (report.failure, report.exit_code, report.killed) == (Failure.ALGORITHM, code, False)
    assert "ExitCode 137: killed (likely out of memory)" in report.reason


def test_other_signals_are_named(bench: Bench) -> None:
    report = bench.run(bench.task("abort-1", "import os\nos.abort()\n"))
    assert report.exit_code == -6 and "SIGABRT" in report.reason


def test_a_hyperparameter_that_no_system_takes(bench: Bench) -> None:
    values = {"a=b": "1", "zero": '"\\u0000"'}
    report = bench.run(bench.task("nul-1", "print('hello')", values=values))
    assert report.failure is Failure.CLIENT and "cannot be started" in report.reason


@pytest.mark.parametrize("guarded", [True, False])
def test_a_script_without_its_interpreter(bench: Bench, guarded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not guarded:
        monkeypatch.setenv("PATH", str(bench.root))
        assert shutil.which("setpriv") is None
    folder = bench.source("odd-1", "#!/no/such/interpreter\n", "run.sh")
    (folder / "run.sh").chmod(0o755)
    report = bench.run(bench.task("odd-1", values={"sagemaker_program": "run.sh"}))
    assert (report.failure, report.exit_code) == (Failure.CLIENT, None)
    assert "run.sh cannot be started" in report.reason and "No such file" in report.reason


def test_programs_begin_with_plain_signals(bench: Bench) -> None:
    text = (
        "import signal\nprint(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))\n"
        "ignored = int(open('/proc/self/status').read().split('SigIgn:')[1].split()[0], 16)\n"
        "print([number for number in range(1, 32) if ignored >> (number - 1) & 1])\n"
    )
    if sys.platform == "linux":
        bench.run(bench.task("signals-1", text))
        assert bench.stdout("signals-1") == "[]\n[13, 25]\n", "Python itself ignores SIGPIPE and SIGXFSZ"


def test_large_hyperparameters_start(bench: Bench) -> None:
    values = {f"p{number}": "x" * 2500 for number in range(100)}
    report = bench.run(bench.task("large-1", "import sys\nprint(len(sys.argv))\n", values=values))
    assert report.exit_code == 0, report.reason
    assert bench.stdout("large-1") == "201\n"


# ---- processes ----


def test_prints_nothing(bench: Bench) -> None:
    assert bench.run(bench.task("quiet-1", "pass")).exit_code == 0
    assert bench.stdout("quiet-1") == bench.stderr("quiet-1") == ""


def test_a_large_log_is_read_by_offset(bench: Bench) -> None:
    bench.run(
        bench.task("loud-1", "for n in range(200000):\n    print(f'{n:09d}')\n", environment={"PYTHONUNBUFFERED": ""})
    )
    assert bench.executor.sizes("loud-1", 1).stdout == 2_000_000
    assert bench.executor.read("loud-1", 1, "stdout", 10 * 123_456, 20) == b"000123456\n000123457\n"
    assert len(bench.executor.read("loud-1", 1, "stdout", 0, 65536)) == 65536


def test_output_arrives_while_the_program_runs(bench: Bench) -> None:
    task = bench.task("early-1", "import time\nprint('loss=0.5;')\nwhile True: time.sleep(0.01)\n")
    bench.executor.launch(task)
    bench.seen.said("early-1", b"loss=0.5;")
    bench.executor.kill(task)
    assert bench.seen.exit("early-1").killed


@pytest.mark.parametrize("stopped", [False, True])
def test_case_44_children_do_not_survive(bench: Bench, stopped: bool) -> None:
    text = FORKS + ("time.sleep(600)\n" if stopped else "")
    task = replace(bench.task("forks-1", text), grace=0.1)
    bench.executor.launch(task)
    if stopped:
        bench.seen.said("forks-1", b"\n")
        bench.executor.kill(task)
    report = bench.seen.exit("forks-1")
    assert report.killed is stopped
    children = [int(pid) for pid in bench.stdout("forks-1").split()]
    assert len(children) == 2 and not any(alive(pid) for pid in children)


def test_an_interrupted_preparation_is_a_stop(bench: Bench) -> None:
    """SIGTERM with a tombstone while the source is being copied: nothing is started."""
    fifo = bench.source("slow-1", "") / "data.bin"
    with open(fifo, "wb") as file:
        file.truncate(900 * 1024 * 1024)
    task = bench.task("slow-1", "open('started', 'w')")
    bench.executor.launch(task)
    bench.pid("slow-1", "shim")
    bench.executor.kill(task)
    report = bench.seen.exit("slow-1")
    assert (report.killed, report.exit_code) == (True, None)


def test_the_environment_follows_the_controller(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import os\nprint(os.environ.get('LATER'), os.environ.get('EARLIER'))\n"
    monkeypatch.setenv("EARLIER", "early")
    bench.run(bench.task("env-1", text))
    monkeypatch.setenv("LATER", "late")
    monkeypatch.delenv("EARLIER")
    bench.run(bench.task("env-2", text))
    assert (bench.stdout("env-1"), bench.stdout("env-2")) == ("None early\n", "late None\n")


def test_programs_get_nothing_but_the_standard_streams(bench: Bench) -> None:
    text = "import os\nprint([fd for fd in range(3, 64) if os.path.exists(f'/proc/self/fd/{fd}')])\n"
    bench.run(bench.task("fds-1", text))
    if sys.platform.startswith("linux"):
        assert bench.stdout("fds-1") == "[]\n"


def test_no_free_slot_starts_nothing(bench: Bench) -> None:
    executor = bench.start("1")
    gate = bench.root / "gate"
    text = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)\n"
    first, second = bench.task("slot-1", text), bench.task("slot-2", "pass")
    assert executor.launch(first) is not None
    assert executor.launch(second) is None
    assert not bench.job("slot-2").exists()
    gate.touch()
    bench.seen.exit("slot-1")
    assert executor.launch(second) is not None
    bench.seen.exit("slot-2")


def test_gpus_are_handed_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    bench.start()
    text = "import os, time\nprint(os.environ['CUDA_VISIBLE_DEVICES'], os.environ['SM_NUM_GPUS'], flush=True)\n"
    wait = f"while not os.path.exists({str(bench.root / 'gate')!r}): time.sleep(0.01)\n"
    assert bench.executor.launch(bench.task("gpu-1", text + wait, gpus=1))
    assert bench.executor.launch(bench.task("gpu-2", text + wait, gpus=1))
    assert bench.executor.launch(bench.task("gpu-3", text, gpus=1)) is None
    bench.run(bench.task("gpu-4", text))
    (bench.root / "gate").touch()
    bench.seen.exit("gpu-1")
    bench.seen.exit("gpu-2")
    assert sorted([bench.stdout("gpu-1"), bench.stdout("gpu-2")]) == ["4 1\n", "7 1\n"]
    assert bench.stdout("gpu-4") == " 0\n"


def test_slots_are_free_again_when_the_exit_is_reported(bench: Bench) -> None:
    executor = bench.start("1")
    for number in range(20):
        assert executor.launch(bench.task(f"turn-{number}", "pass")) is not None
        bench.seen.exit(f"turn-{number}")


def test_case_45_paths_stay_short(bench: Bench) -> None:
    name = "j" * 63
    values = {f"hyperparameter_{number:05d}": repr(number / 7) for number in range(12)}
    assert bench.run(bench.task(name, "pass", values=values)).exit_code == 0
    longest = max(len(os.fspath(path)) - len(os.fspath(bench.home)) for path in bench.home.rglob("*"))
    assert longest < 240 - 100
    assert Slots(bench.home / "slots", "4").acquire(1) is not None
