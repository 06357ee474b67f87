"""What `serve` and `env` do."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import shlex
import signal
import socket
import sqlite3
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from tunewright.assembly import Host, Local, make_home
from tunewright.aws.app import Options, Ports, make_app
from tunewright.aws.http.gate import is_loopback
from tunewright.aws.http.keys import Key, load_keys
from tunewright.aws.http.listening import make_server
from tunewright.aws.sagemaker.protocol import service
from tunewright.cli.log_writer import LogHandler, LogWriter
from tunewright.cli.out import say, warn
from tunewright.cli.programs import let_in
from tunewright.cli.proxies import without_proxy
from tunewright.cli.sts import lead
from tunewright.cli.views import emit
from tunewright.core.errors import Invalid
from tunewright.objects.choose import is_endpoint
from tunewright.settings import Settings

CONFIGURATION = "sagemaker-config.yaml"
BOTOCORE = ".botocore"
SWITCH_SECONDS = 0.0005
M_ARENA_MAX = -8
SQLITE_BYTES = 12 << 20
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""All of a machine's addresses, which are nobody's to connect to, and one of them that is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How `serve` was called."""

    host: str
    port: int
    endpoint: str
    store: str | None
    certificate: Path | None
    key: Path | None
    keys: Path | None
    bucket: str
    strict: bool
    loop: bool
    access_log: bool
    as_json: bool


def serve(wanted: Wanted) -> int | None:
    """Serve until told to end. Training goes on when the server ends; the next one takes it over."""
    share_memory()
    keys = load_keys(wanted.keys) if wanted.keys else {}
    _check(wanted, keys)
    settings = Settings.load()
    if wanted.store:
        settings = replace(settings, store=wanted.store)
    with contextlib.ExitStack() as ending:
        host = Host.open(settings, stays=True)
        ending.callback(host.store.close)
        listening = _listen(wanted.host, wanted.port)
        ending.callback(listening.close)
        endpoint = _endpoint(wanted, listening)
        writer = _start_logs(wanted.access_log)
        ending.callback(writer.close)
        ending.callback(host.background.stop)
        local = Local(host, strict=wanted.strict)
        ports = Ports(
            host.recorder, host.store, host.reads, host.objects, local.log_paths, lambda _: host.background.wake()
        )
        admitted = let_in(settings, endpoint, keys, wanted.certificate) if wanted.loop else keys
        options = Options(wanted.strict, wanted.bucket, admitted, endpoint=endpoint, dropped=lambda: writer.dropped)
        app = make_app(ports, settings, options)
        server = make_server(app, wanted.certificate, wanted.key)
        if wanted.loop:
            host.background.start()
        _announce(wanted, settings, endpoint, keys)
        _settle()
        # uvicorn takes these over while it serves, and raises them once more when it has ended.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        server.run(sockets=[listening])
    return None


def _check(wanted: Wanted, keys: Mapping[str, Key]) -> None:
    if not keys and not is_loopback(wanted.host):
        raise Invalid.one(
            "--host",
            f"{wanted.host} can be reached from other machines, and without keys anybody there could run programs on"
            " this one. Name keys with --keys FILE, or listen on 127.0.0.1.",
        )
    if (wanted.certificate is None) != (wanted.key is None):
        raise Invalid.one("--tls-cert", "needs --tls-key, and the other way round.")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise Invalid.one("--port", f"{host}:{port} cannot be listened on: {error.strerror or error}.") from error
    listening.set_inheritable(False)
    return listening


def _endpoint(wanted: Wanted, listening: socket.socket) -> str:
    """The URL of the server: as it was called, else the address that it listens on."""
    if wanted.endpoint:
        return wanted.endpoint.rstrip("/")
    port = listening.getsockname()[1]
    scheme = "https" if wanted.certificate else "http"
    host = _EVERYWHERE.get(wanted.host, wanted.host)
    place = f"[{host}]" if ":" in host else host
    return f"{scheme}://{place}:{port}"


def _announce(wanted: Wanted, settings: Settings, endpoint: str, keys: Mapping[str, Key]) -> None:
    mode = "strict" if wanted.strict else "extended"
    if wanted.as_json:
        emit({"Endpoint": endpoint, "Mode": mode, "Bucket": wanted.bucket, "Home": str(settings.home)})
    else:
        say(f"Serving {endpoint} ({mode}; home {settings.home}; {len(keys) or 'no'} keys).")
        say(f'In another shell: eval "$(tunewright env --endpoint {endpoint})"')
    sys.stdout.flush()


def share_memory() -> None:
    """Let all threads take memory from one place, and all connections to SQLite together keep so much of their pages.

    The C library (glibc alone) would set some aside for each thread, SQLite 4 MB for each connection. SQLite's limit
    is a process's, whichever connection says it.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"PRAGMA soft_heap_limit={SQLITE_BYTES}")


def _settle() -> None:
    """Make threads take turns quickly, and leave what was loaded at the start out of every collection of garbage.

    A request changes threads twice; beside a loop that computes, each change would wait for Python's usual 5 ms.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    service()
    gc.collect()
    gc.freeze()


def _start_logs(access_log: bool) -> LogWriter:
    """Logs on standard error: what went wrong as text, requests as lines of JSON."""
    writer = LogWriter(sys.stderr.fileno())
    told = LogHandler(writer, "%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.basicConfig(level=logging.INFO, handlers=[told])
    logging.captureWarnings(True)
    access = logging.getLogger("tunewright.access")
    access.propagate = False
    access.disabled = not access_log
    if access_log and not access.handlers:
        access.addHandler(LogHandler(writer))
    return writer


def env(
    endpoint: str,
    bucket: str,
    keys: tuple[Path | None, str | None],
    ca: Path | None,
    output: Path | None,
    *,
    as_json: bool,
) -> int | None:
    """Write the SDKs' configuration file, and botocore's beside it, and print what to export."""
    settings = Settings.load()
    if output is None:
        make_home(settings.home)
    path = (output or settings.home / CONFIGURATION).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(_configuration(settings, bucket), sort_keys=False), encoding="utf-8")
        data_path = lead(path.with_suffix(BOTOCORE), endpoint.rstrip("/"))
    except OSError as error:
        text = f"{path} cannot be written: {error.strerror or error}. Name another file."
        raise Invalid.one("--output", text) from error
    variables = _variables(settings, endpoint, keys, ca, path) | {"AWS_DATA_PATH": data_path}
    if as_json:
        emit(variables)
    else:
        if "AWS_ACCESS_KEY_ID" in variables:
            say("unset AWS_SESSION_TOKEN AWS_PROFILE")
        for name, value in variables.items():
            say(f"export {name}={shlex.quote(value)}")
        warn(f'Wrote {path}. Use this as: eval "$(tunewright env)"')
    return None


def _variables(
    settings: Settings, endpoint: str, keys: tuple[Path | None, str | None], ca: Path | None, configuration: Path
) -> dict[str, str]:
    """What AWS's clients read from the environment."""
    access, secret = _credentials(*keys)
    variables = {
        "AWS_ENDPOINT_URL": endpoint.rstrip("/"),
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_REGION": settings.region,
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(configuration),
        "NO_PROXY": without_proxy(),
    }
    if is_endpoint(settings.objects):
        # One pair of keys has to serve both; without keys of ours the user's own are left in force.
        variables["AWS_ENDPOINT_URL_S3"] = settings.objects
        if not keys[0]:
            del variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]
    if ca is not None:
        variables |= {"AWS_CA_BUNDLE": str(ca.absolute()), "REQUESTS_CA_BUNDLE": str(ca.absolute())}
    return variables


def _configuration(settings: Settings, bucket: str) -> dict[str, object]:
    """With a default bucket the SDKs need not make up its name from an account that STS tells them."""
    role = f"arn:aws:iam::{settings.account}:role/SageMakerRole"
    session = {"Session": {"DefaultS3Bucket": bucket}, "TelemetryOptOut": True}
    return {
        "SchemaVersion": "1.0",
        "SageMaker": {"PythonSDK": {"Modules": session}, "TrainingJob": {"RoleArn": role}},
    }


def _credentials(path: Path | None, wanted: str | None) -> tuple[str, str]:
    if path is None:
        if wanted is not None:
            raise Invalid.one("--key", "needs --keys FILE, where its secret stands.")
        return "tunewright", "tunewright"
    keys = load_keys(path)
    if wanted is None:
        chosen = next((key for key in keys.values() if not key.read_only), next(iter(keys.values())))
    elif wanted in keys:
        chosen = keys[wanted]
    else:
        raise Invalid.one("--key", f"{wanted!r} is not in {path}; there are {', '.join(keys)}.")
    return chosen.access, chosen.secret
