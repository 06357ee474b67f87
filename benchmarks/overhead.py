"""What a training job costs on top of the program itself, beside a bare subprocess and beside Optuna.

    python benchmarks/overhead.py [--optuna-python PATH] [--rounds 3] [--few 20] [--many 120]

Every kind runs a few and many jobs in processes of its own, alternating; a job's cost is the slope between the
two, so that start-up does not count. Wall and CPU seconds of the whole process tree are taken (this program is
the subreaper of all of them, so shims and servers count). Random, one job at a time, durable SQLite store.
Functions are trivial Python functions; programs are three-line scripts that print one value.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAM = """import sys
x = float(sys.argv[sys.argv.index("--rate") + 1])
print(f"loss={(x - 0.3) ** 2};")
"""
PR_SET_CHILD_SUBREAPER = 36


def bare(count: int, place: Path) -> None:
    script = str(place / "train.py")
    for number in range(count):
        subprocess.run([sys.executable, script, "--rate", str(number / count)], stdout=subprocess.PIPE, check=True)


def optuna_study(place: Path) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = f"sqlite:///{place / 'optuna.db'}"
    return optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=1))


def optuna_programs(count: int, place: Path) -> None:
    script = str(place / "train.py")

    def objective(trial: Any) -> float:
        argv = [sys.executable, script, "--rate", repr(trial.suggest_float("rate", 0.0, 1.0))]
        out = subprocess.run(argv, stdout=subprocess.PIPE, check=True, text=True).stdout
        return float(out.partition("=")[2].rstrip(";\n"))

    optuna_study(place).optimize(objective, n_trials=count)


def optuna_functions(count: int, place: Path) -> None:
    optuna_study(place).optimize(lambda trial: (trial.suggest_float("rate", 0.0, 1.0) - 0.3) ** 2, n_trials=count)


def tunewright_job(count: int, place: Path, static: dict[str, str], metrics: list[dict[str, str]]) -> None:
    os.environ["TUNEWRIGHT_HOME"] = str(place / "home")
    from tunewright.assembly import close_all, local

    here = local()
    here.client.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="overhead",
        HyperParameterTuningJobConfig={
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": count, "MaxParallelTrainingJobs": 1},
            "ParameterRanges": {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0", "MaxValue": "1"}]},
            "RandomSeed": 1,
        },
        TrainingJobDefinition={
            "StaticHyperParameters": static,
            "AlgorithmSpecification": {
                "TrainingImage": "tunewright/script",
                "TrainingInputMode": "File",
                "MetricDefinitions": metrics,
            },
            "RoleArn": "arn:aws:iam::000000000000:role/tunewright",
            "OutputDataConfig": {"S3OutputPath": f"file://{place / 'home' / 'output'}"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        },
    )
    # The loop is asked, not the store: whoever looks on must not be part of what is measured.
    while here.host.background.busy() or not (view := here.reads.job("overhead")).job.status.terminal:
        time.sleep(0.02)
    assert view.job.counters.succeeded == count, view.job
    close_all()


def tunewright_programs(count: int, place: Path) -> None:
    static = {"sagemaker_program": "train.py", "sagemaker_submit_directory": f"file://{place}"}
    tunewright_job(count, place, static, [{"Name": "loss", "Regex": "loss=(.*?);"}])


def tunewright_functions(count: int, place: Path) -> None:
    function = {"reference": "overhead_function:train", "pickled": False, "path": [str(place)]}
    tunewright_job(count, place, {"_tunewright": json.dumps({"function": function})}, [])


KINDS: dict[str, Callable[[int, Path], None]] = {
    "bare": bare,
    "optuna": optuna_programs,
    "tunewright": tunewright_programs,
    "optuna-function": optuna_functions,
    "tunewright-function": tunewright_functions,
}


def measure(kind: str, count: int, python: str) -> tuple[float, float]:
    """Wall and CPU seconds of a process tree that runs `count` jobs of a kind."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "train.py").write_text(PROGRAM)
        (place / "overhead_function.py").write_text("def train(rate):\n    return (rate - 0.3) ** 2\n")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        subprocess.run([python, __file__, "--run", kind, str(count), folder], check=True)
        wall = time.perf_counter() - began
        reap()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def reap() -> None:
    """Wait for every orphan that was left to this process."""
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--optuna-python", help="an interpreter that has optuna; without it Optuna is left out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--few", type=int, default=20)
    parser.add_argument("--many", type=int, default=120)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--run", nargs=3, metavar=("KIND", "COUNT", "PLACE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        KINDS[args.run[0]](int(args.run[1]), Path(args.run[2]))
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    kinds = [kind for kind in KINDS if args.optuna_python or not kind.startswith("optuna")]
    slopes: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for _ in range(args.rounds):
        for kind in kinds:
            python = args.optuna_python if kind.startswith("optuna") else sys.executable
            few, many = measure(kind, args.few, python), measure(kind, args.many, python)
            jobs = args.many - args.few
            slopes[kind].append(((many[0] - few[0]) / jobs * 1e3, (many[1] - few[1]) / jobs * 1e3))
    report(slopes, args.out)


def report(slopes: dict[str, list[tuple[float, float]]], out: Path | None) -> None:
    middle = {kind: tuple(statistics.median(v[i] for v in rows) for i in (0, 1)) for kind, rows in slopes.items()}
    print(f"{'ms per job':22} {'wall':>22} {'CPU':>22}    (median, least to most)")
    for kind, rows in slopes.items():
        cells = [
            f"{middle[kind][i]:7.2f} [{min(r[i] for r in rows):.2f}, {max(r[i] for r in rows):.2f}]" for i in (0, 1)
        ]
        print(f"{kind:22} {cells[0]:>22} {cells[1]:>22}")
    for kind in ("optuna", "tunewright"):
        if kind in middle:
            over = [middle[kind][i] - middle["bare"][i] for i in (0, 1)]
            print(f"{kind} on top of the bare program: {over[0]:.2f} ms wall, {over[1]:.2f} ms CPU")
    if out is not None:
        machine = {"machine": platform.machine(), "python": platform.python_version(), "cores": os.cpu_count()}
        out.write_text(json.dumps({"slopes_ms": slopes, **machine}, indent=1))


if __name__ == "__main__":
    main()
