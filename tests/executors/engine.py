"""A container engine made of plain processes: a client program that looks like docker's, and its daemon.

No container engine is needed to see what is asked of one: which arguments, in which order, and who ends what. The
"images" are Python programs; a container is a process that is no child of the client, in a mount namespace in which
its first mount lies at /opt/ml.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

CLIENT = """#!{python}
import json, os, signal, sys, time
state = {state!r}
verb, *words = sys.argv[1:]
with open(state + "/calls", "a") as log:
    log.write(json.dumps([verb, *words]) + "\\n")

def name_of(words):
    return words[-1]

def running(name):
    try:
        return int(open(f"{{state}}/running/{{name}}").read())
    except FileNotFoundError:
        return None

if verb == "run":
    asked = {{"labels": [], "mounts": [], "env": {{}}, "entrypoint": None, "name": "", "more": []}}
    while words[0].startswith("-"):
        word = words.pop(0)
        if word == "--rm" or "=" in word:
            asked["more"].append(word)
            continue
        value = words.pop(0)
        if word == "--env":
            variable, given, text = value.partition("=")
            asked["env"][variable] = text if given else os.environ[variable]
        elif word == "--env-file":
            for line in open(value):
                variable, _, text = line.rstrip("\\n").partition("=")
                asked["env"].setdefault(variable, text)
        elif word == "--label":
            asked["labels"].append(value)
        elif word == "--mount":
            asked["mounts"].append(value)
        elif word == "--name":
            asked["name"] = value
        elif word == "--entrypoint":
            asked["entrypoint"] = value
        else:
            asked["more"] += [word, value]
    asked["image"], *asked["command"] = words
    asked["logs"] = [os.readlink("/proc/self/fd/1"), os.readlink("/proc/self/fd/2")]
    if asked["image"].startswith("missing"):
        print("Unable to find image", asked["image"], file=sys.stderr)
        sys.exit(125)
    if asked["image"].startswith("broken"):
        print("Error: runc: exec: no such file: OCI runtime attempted to invoke", file=sys.stderr)
        sys.exit(127)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    while asked["image"].startswith("pulling"):
        time.sleep(0.01)
    name = asked["name"]
    with open(f"{{state}}/{{name}}.new", "w") as file:
        json.dump(asked, file)
    os.rename(f"{{state}}/{{name}}.new", f"{{state}}/asked/{{name}}")
    while not os.path.exists(f"{{state}}/ended/{{name}}"):
        time.sleep(0.01)
    sys.exit(int(open(f"{{state}}/ended/{{name}}").read()))
elif verb == "kill":
    pid = running(name_of(words))
    if pid is None:
        sys.exit(1)
    os.kill(pid, signal.SIGTERM if "TERM" in words else signal.SIGKILL)
elif verb == "rm":
    for name in words[1:]:
        pid = running(name)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
elif verb == "ps":
    try:
        os.unlink(state + "/busy")
        sys.exit(125)
    except FileNotFoundError:
        pass
    wanted = {{word.removeprefix("label=") for word in words if word.startswith("label=")}}
    for name in os.listdir(state + "/running"):
        if wanted <= set(json.load(open(f"{{state}}/known/{{name}}"))["labels"]):
            print(name)
elif verb == "container":
    sys.exit(0 if running(name_of(words)) else 1)
elif verb == "version":
    print("fake")
"""

LAUNCH = """
import os, sys
base, closed, path, image, *words = sys.argv[1:]
sys.path[:0] = path.split(os.pathsep)
from tunewright.executors.rooms import Rooms
with Rooms().opened(base, read_only=[place for place in closed.split(os.pathsep) if place]):
    os.chdir("/")
    os.execv(sys.executable, [sys.executable, "-c", image, *words])
"""


class Engine:
    """The daemon, and where its client lies.

    Args:
        images: Python programs by the name of the image.
    """

    def __init__(self, folder: Path, images: dict[str, str], name: str = "docker") -> None:
        self.images = images
        self.state = folder / "engine"
        for part in ("asked", "running", "ended", "known"):
            (self.state / part).mkdir(parents=True)
        self.client = folder / name
        self.client.write_text(CLIENT.format(python=sys.executable, state=str(self.state)), encoding="utf-8")
        self.client.chmod(0o755)
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def calls(self, verb: str = "") -> list[list[str]]:
        """What the client was called with."""
        path = self.state / "calls"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [call for call in map(json.loads, lines) if not verb or call[0] == verb]

    def asked(self) -> dict[str, Any]:
        """What was asked for with the one container that was run, taken apart."""
        [path] = (self.state / "known").iterdir()
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def busy(self) -> None:
        """Let the next question for containers fail."""
        (self.state / "busy").touch()

    def running(self) -> list[str]:
        return sorted(os.listdir(self.state / "running"))

    def close(self) -> None:
        self._closed.set()
        for name in self.running():
            os.kill(int((self.state / "running" / name).read_text()), 9)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while not self._closed.wait(0.01):
            for path in list((self.state / "asked").iterdir()):
                self._start(path)

    def _start(self, path: Path) -> None:
        asked = json.loads(path.read_text(encoding="utf-8"))
        name = asked["name"]
        os.rename(path, self.state / "known" / name)
        fields = [dict(part.partition("=")[::2] for part in mount.split(",")) for mount in asked["mounts"]]
        closed = os.pathsep.join(field["source"] for field in fields if "readonly" in field)
        words = [*([asked["entrypoint"]] if asked["entrypoint"] else []), *asked["command"]]
        command = [sys.executable, "-c", LAUNCH, fields[0]["source"], closed, os.pathsep.join(sys.path)]
        with open(asked["logs"][0], "ab") as out, open(asked["logs"][1], "ab") as errors:
            process = subprocess.Popen(
                [*command, self.images[asked["image"]], *words],
                env=asked["env"],
                stdout=out,
                stderr=errors,
                start_new_session=True,
            )
        (self.state / "running" / name).write_text(str(process.pid))
        self._threads.append(threading.Thread(target=self._wait, args=(process, name)))
        self._threads[-1].start()

    def _wait(self, process: subprocess.Popen[bytes], name: str) -> None:
        code = process.wait()
        (self.state / "running" / name).unlink()
        (self.state / f"{name}.end").write_text(str(code if code >= 0 else 128 - code))
        (self.state / f"{name}.end").rename(self.state / "ended" / name)
