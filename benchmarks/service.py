"""How fast `tunewright serve` answers while it tunes.

    python -m benchmarks.service [--trials 10000] [--rate 40] [--seconds 60] [--creates 400] [--output FILE]

A store is filled with `--trials` finished training jobs of twelve tuning jobs. One server process on it runs one
more tuning job (Bayesian, two training jobs at a time that print twenty values each) while Describe and List
requests of all kinds come at an open rate from this process. A warm-up of five seconds at the same rate goes
before and is not counted. Afterwards tuning jobs are created as fast as four clients can while one job holds the
only slot, so that nothing else runs; the loop takes each of them over and proposes for it.

Both processes should be the only ones of their priority: `chrt -r 20 python -m benchmarks.service`. The load of
the machine is told with the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.openloop import Client, Request, Taken, flood, quantiles, run, table
from benchmarks.service_store import SIZES, fill, tuning_request

WARM_UP_SECONDS = 5
SORTS = ("Name", "CreationTime", "Status", "FinalObjectiveMetricValue")
QUOTAS = "jobs=1000000,running=1000000,parallel=1000"


class Server:
    """`tunewright serve` in a process of its own."""

    def __init__(self, home: Path, slots: int, *options: str) -> None:
        settings = {
            "TUNEWRIGHT_HOME": str(home),
            "TUNEWRIGHT_SLOTS": str(slots),
            "TUNEWRIGHT_QUOTAS": QUOTAS,
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "tunewright", "serve", "--port", "0", "--json", "--extended", *options]
        self.log = (home / "serve.log").open("ab")
        self.process = subprocess.Popen(
            command, env={**os.environ, **settings}, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        assert self.process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            text += self.process.stdout.readline() or sys.exit(f"the server did not start: see {self.log.name}")
        self.endpoint = json.loads(text)["Endpoint"]
        self.host, _, port = self.endpoint.rpartition("/")[2].partition(":")
        self.port = int(port)

    def memory(self) -> dict[str, float]:
        """Megabytes: resident now and at most."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        fields = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
        return {name: round(int(fields[name][0]) / 1024, 1) for name in ("VmRSS", "VmHWM")}

    def cpu(self) -> float:
        """Seconds of CPU that the process took, without its children."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()


def request(operation: str, **members: Any) -> bytes:
    """A request of SageMaker's JSON protocol as bytes."""
    body = json.dumps(members).encode()
    head = (
        f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Amz-Target: SageMaker.{operation}\r\n"
        f"Content-Type: application/x-amz-json-1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def reading(rng: random.Random) -> Iterator[Request]:
    """Describe and List of all kinds, evenly mixed, for ever; lists go on with their pages."""
    pages: dict[str, tuple[dict[str, Any], str]] = {}

    def listing(kind: str, operation: str, members: dict[str, Any]) -> Request:
        """The next page of the list that is open, or the first of a new one."""
        known, token = pages.pop(kind, (members, ""))

        def then(body: bytes) -> None:
            if (more := json.loads(body).get("NextToken")) is not None:
                pages[kind] = known, more

        return Request(kind, request(operation, **known, **({"NextToken": token} if token else {})), then)

    def job() -> str:
        return f"filled-{rng.randrange(len(SIZES))}"

    while True:
        order = rng.choice(("Ascending", "Descending"))
        for turn in rng.sample(range(7), 7):
            match turn:
                case 0:
                    yield Request("describe tuning", request("DescribeHyperParameterTuningJob", **named(job())))
                case 1:
                    yield Request("describe running", request("DescribeHyperParameterTuningJob", **named("running")))
                case 2:
                    number = rng.randrange(len(SIZES))
                    name = f"filled-{number}-{rng.randrange(1, SIZES[number] + 1):03d}"
                    listed = request("ListTrainingJobs", NameContains=name, MaxResults=1)
                    yield Request("find training", listed)
                case 3:
                    yield Request(
                        "describe training", request("DescribeTrainingJob", TrainingJobName=rng.choice(NAMES))
                    )
                case 4:
                    members = {"MaxResults": rng.choice((10, 100)), "SortOrder": order}
                    members["SortBy"] = rng.choice(("Name", "CreationTime", "Status"))
                    yield listing("list training", "ListTrainingJobs", members)
                case 5:
                    members = {"MaxResults": rng.choice((10, 100)), "SortOrder": order, "SortBy": rng.choice(SORTS)}
                    operation = "ListTrainingJobsForHyperParameterTuningJob"
                    yield listing("list training of job", operation, {**named(job()), **members})
                case _:
                    members = {"MaxResults": rng.choice((10, 100)), "SortOrder": order, "SortBy": rng.choice(SORTS[:3])}
                    yield listing("list tuning", "ListHyperParameterTuningJobs", members)


NAMES: list[str] = []
"""Training jobs in the store."""


def named(name: str) -> dict[str, str]:
    return {"HyperParameterTuningJobName": name}


async def read_while_tuning(server: Server, args: argparse.Namespace) -> tuple[Taken, float, str]:
    """The requests counted, the share of a CPU the server took for them, and how the tuning job stood at their end."""
    client, mixed = Client(server.host, server.port), reading(random.Random(args.seed))
    status, body = await client.send(request("CreateHyperParameterTuningJob", **tuning_request("running", 100_000)))
    assert status == 200, body
    await run(client, itertools.islice(mixed, int(WARM_UP_SECONDS * args.rate)), args.rate)
    cpu, began = server.cpu(), time.perf_counter()
    taken = await run(client, itertools.islice(mixed, int(args.seconds * args.rate)), args.rate)
    share = (server.cpu() - cpu) / (time.perf_counter() - began)
    _, body = await client.send(request("DescribeHyperParameterTuningJob", **named("running")))
    counters = json.loads(body)["TrainingJobStatusCounters"]
    await client.send(request("StopHyperParameterTuningJob", **named("running")))
    while json.loads((await client.send(request("DescribeHyperParameterTuningJob", **named("running"))))[1])[
        "HyperParameterTuningJobStatus"
    ] not in ("Stopped", "Completed"):
        await asyncio.sleep(0.2)
    await client.close()
    return taken, share, f"{counters['Completed']} training jobs completed, {counters['InProgress']} in progress"


async def create(server: Server, count: int) -> tuple[Taken, float]:
    """Tuning jobs created by four clients; what was taken, and how many a second."""
    client = Client(server.host, server.port)
    blocker = tuning_request("blocker", 1, seconds=3600)
    status, body = await client.send(request("CreateHyperParameterTuningJob", **blocker))
    assert status == 200, body
    made = (tuning_request(f"made-{number}", 10, strategy="Random") for number in range(count))
    requests = [Request("create tuning", request("CreateHyperParameterTuningJob", **each)) for each in made]
    taken, seconds = await flood(client, requests, 4)
    await client.send(request("StopHyperParameterTuningJob", **named("blocker")))
    await client.close()
    return taken, count / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000, help="finished training jobs in the store")
    parser.add_argument("--rate", type=float, default=40.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--creates", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        NAMES.extend(fill(home, args.trials))
        print(f"{len(NAMES)} training jobs of {len(SIZES)} tuning jobs; load {os.getloadavg()[0]:.2f}")
        server = Server(home, 2)
        try:
            taken, share, stood = asyncio.run(read_while_tuning(server, args))
            memory = server.memory()
        finally:
            server.close()
        print(table(taken.seconds))
        print(f"{args.rate:g} a second for {args.seconds:g} s; {stood}; {len(taken.failures)} failures")
        print(f"server: {share:.0%} of a CPU, {memory}; generator late {quantiles(taken.late)} ms")
        server = Server(home, 1)
        try:
            created, rate = asyncio.run(create(server, args.creates))
        finally:
            server.close()
        print(table(created.seconds))
        print(f"{rate:.0f} tuning jobs created a second by four clients; {len(created.failures)} failures")
        print(f"load at the end {os.getloadavg()[0]:.2f}")
        for failure in (taken.failures + created.failures)[:5]:
            print(failure)
    if args.output is not None:
        figures = {"read": quantiles(taken.all), "create": quantiles(created.all), "creates_per_second": rate}
        args.output.write_text(json.dumps({**figures, "memory": memory, "load": os.getloadavg()}, indent=1))


if __name__ == "__main__":
    main()
