"""EnableNetworkIsolation: a network of its own for the program, shared by its hosts; everybody else keeps theirs."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunewright.core.trial import Failure
from tunewright.executors import rooms
from tunewright.executors.programs import networks

from .bench import Bench, alive


def obstacle() -> str:
    """Why the kernel makes no networks here, or "": found out in a process of its own."""
    if not rooms.LINUX:
        return "this system has no network namespaces"
    pid = os.fork()
    if pid == 0:
        try:
            rooms.Rooms().unlock()
            networks._renew()
        except OSError:
            os._exit(1)
        os._exit(0)
    return "" if os.waitpid(pid, 0)[1] == 0 else "the kernel refuses network namespaces"


OBSTACLE = obstacle()
needs_networks = pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE)

CALLS = """
import os, socket
def reaches(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except OSError:
        return False
print("outside", reaches(int(os.environ["OUTSIDE"])))
print("addresses", sorted(name for _, name in socket.if_nameindex()))
with socket.create_server(("127.0.0.1", 0)) as mine:
    print("inside", reaches(mine.getsockname()[1]))
"""


@pytest.fixture
def outside() -> Iterator[dict[str, str]]:
    """A server of this machine, as the programs' environment names it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield {"OUTSIDE": str(server.getsockname()[1])}


@needs_networks
def test_an_isolated_program_reaches_nobody(bench: Bench, outside: dict[str, str]) -> None:
    assert bench.run(bench.task("alone", CALLS, environment=outside, isolated=True)).exit_code == 0
    assert bench.stdout("alone").splitlines() == ["outside False", "addresses ['lo']", "inside True"]
    # The same process looks after the next one, which is not isolated.
    assert bench.run(bench.task("free", CALLS, environment=outside)).exit_code == 0
    assert bench.stdout("free").splitlines()[0] == "outside True"


TWO = """
import os, socket, time
if os.environ["SM_CURRENT_HOST"] == "algo-1":
    with socket.create_server(("", 7999)) as server:
        server.settimeout(60)
        line, _ = server.accept()
        print(line.recv(100).decode())
else:
    until = time.monotonic() + 60
    while True:
        try:
            line = socket.create_connection(("algo-1" if os.path.exists("/opt/ml/input/config") else "127.0.0.1", 7999))
            break
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.01)
    line.sendall(b"hello from algo-2")
"""


@needs_networks
def test_hosts_of_one_job_reach_each_other(bench: Bench) -> None:
    report = bench.run(bench.task("pair", TWO, isolated=True, instance_count=2))
    assert report.exit_code == 0, report.reason
    assert bench.stdout("pair") == "hello from algo-2\n"


@needs_networks
def test_an_isolated_program_is_ended_as_any_other(bench: Bench) -> None:
    script = "import time\nprint('up', flush=True)\ntime.sleep(600)\n"
    task = bench.task("stopped", script, isolated=True)
    assert bench.executor.launch(task) is not None
    bench.seen.said("stopped", b"up")
    bench.executor.kill(task)
    assert bench.seen.exit("stopped").killed
    bench.executor.launch(bench.task("lost", script, isolated=True))
    bench.seen.said("lost", b"up")
    program = bench.pid("lost", "program")
    os.kill(bench.pid("lost", "shim"), signal.SIGKILL)
    assert bench.seen.exit("lost").failure is Failure.INTERNAL
    assert not alive(program)
    assert bench.run(bench.task("code", "import sys; sys.exit(3)", isolated=True)).exit_code == 3


ORDINARY = """
import os, socket, subprocess, sys
sys.path.insert(0, sys.argv[1])
from tunewright.executors.programs.networks import Networks
from tunewright.executors.reasons import Refused
from tunewright.executors.rooms import Rooms
with socket.create_server(("127.0.0.1", 0)) as server:
    mounts = Rooms()
    networks = Networks(mounts)
    calls = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5)"
    command = [sys.executable, "-c", calls, str(server.getsockname()[1])]
    def reaches():
        with mounts.opened(sys.argv[1]):
            return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0
    try:
        networks.renew()
    except Refused as refused:
        print("refused", refused.reason)
        os._exit(0)
    print(os.geteuid(), networks.inside(reaches), reaches(), flush=True)
os._exit(0)
"""


@needs_networks
@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can become somebody else")
def test_an_ordinary_user_isolates_too() -> None:
    """Where user namespaces are allowed. Another user may read neither this source tree nor an environment in it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        shutil.copytree(Path(networks.__file__).parents[2], f"{folder}/tunewright")
        os.chmod(folder, 0o755)
        for python in (os.path.realpath(sys.executable), "/usr/bin/python3", "/usr/local/bin/python3"):
            with contextlib.suppress(PermissionError, FileNotFoundError):
                command = [python, "-B", "-c", ORDINARY, folder]
                done = subprocess.run(
                    command, user=65534, group=65534, cwd="/", capture_output=True, text=True, timeout=60, check=False
                )
                break
        else:
            pytest.skip("another user can run no interpreter here")
    if done.stdout.startswith("refused"):
        pytest.skip(f"an ordinary user cannot: {done.stdout.strip()}")
    assert done.stdout == "65534 False True\n", done.stderr


def test_without_networks_the_job_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(flags: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(networks, "unshare", refuses)
    monkeypatch.setattr(rooms.Rooms, "unlock", lambda self: -1)
    with pytest.raises(networks.Refused, match=r"EnableNetworkIsolation.*leave.*Operation not permitted"):
        networks.Networks(rooms.Rooms()).renew()
