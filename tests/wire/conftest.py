"""Servers in threads, and boto3's clients against them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws.world import World
from botocore.config import Config

from tunewright.aws.app import Options, Ports, make_app
from tunewright.aws.http.keys import Key
from tunewright.aws.http.listening import make_server
from tunewright.control.clock import SteadyClock
from tunewright.executors.workdir import Workdir

HERE = Path(__file__).parent
CERTIFICATE, PRIVATE = HERE / "localhost.crt", HERE / "localhost.key"
WRITER, READER = Key("WRITERKEY", "writer-secret"), Key("READERKEY", "reader-secret", read_only=True)
ANYBODY = Key("anybody", "anything")
SESSION = boto3.session.Session()
"""Kept, because it takes a while to read the services' models."""


class Server:
    """The service on a port of its own, in a thread; its jobs are driven by recording events."""

    def __init__(self, world: World, keys: Mapping[str, Key], *, tls: bool, strict: bool) -> None:
        self.world = world
        self.woken: list[str] = []
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.port = self.socket.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.tls = tls
        ports = Ports(world.recorder, world.store, world.reads, world.objects, self.log_paths, self.woken.append)
        app = make_app(ports, world.settings, Options(strict, "tunewright", keys, endpoint=self.url))
        self.uvicorn = make_server(app, CERTIFICATE if tls else None, PRIVATE if tls else None)
        self.thread = threading.Thread(target=self.uvicorn.run, kwargs={"sockets": [self.socket]})

    def log_paths(self, name: str, host: str = "algo-1", attempt: int = 1) -> tuple[Path, Path]:
        place = Workdir.of(self.world.settings.home, name, attempt).of_host(host)
        return Path(place.stream("stdout")), Path(place.stream("stderr"))

    def client(self, service: str, key: Key | None = None, *, region: str = "eu-west-1", **options: Any) -> Any:
        key = key or ANYBODY
        wanted = (service, key, region, repr(options))
        if wanted not in self.clients:
            self.clients[wanted] = SESSION.client(
                service,
                region_name=region,
                endpoint_url=self.url,
                aws_access_key_id=key.access,
                aws_secret_access_key=key.secret,
                verify=str(CERTIFICATE) if self.tls else None,
                config=Config(retries={"total_max_attempts": 1}, **options),
            )
        return self.clients[wanted]

    def __enter__(self) -> Server:
        self.clients: dict[object, Any] = {}
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients.values():
            client.close()
        self.uvicorn.should_exit = True
        self.thread.join()
        self.socket.close()


@pytest.fixture(autouse=True)
def no_aws_of_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def served(
    home: Path, keys: tuple[Key, ...] = (), *, tls: bool = False, strict: bool = True, quotas: str = ""
) -> Iterator[Server]:
    home.mkdir(parents=True, exist_ok=True)
    world = World(home)
    world.objects.path("s3://bucket").mkdir(parents=True)  # where the requests of `aws.world` put their models
    world.settings = replace(world.settings, quotas=quotas)
    # Signatures have times: the server's clock has to be the machine's.
    world.clock.time = SteadyClock().now()
    with Server(world, {key.access: key for key in keys}, tls=tls, strict=strict) as server:
        yield server
    world.store.close()


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Without keys, over plain HTTP."""
    yield from served(tmp_path_factory.mktemp("open"))


@pytest.fixture(scope="module")
def keyed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With keys, over plain HTTP."""
    yield from served(tmp_path_factory.mktemp("keyed"), (WRITER, READER))


@pytest.fixture(scope="module")
def secure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With keys, over TLS."""
    yield from served(tmp_path_factory.mktemp("secure"), (WRITER, READER), tls=True)


@pytest.fixture(params=["open", "keyed", "secure"])
def any_server(request: pytest.FixtureRequest) -> Server:
    """Each of the three: what is stored must not depend on how it came."""
    found: Server = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def bucket(any_server: Server) -> str:
    """A fresh, empty bucket's name."""
    root = Path(any_server.world.objects.root)
    name = f"bucket-{len(list(root.iterdir()))}"
    any_server.client("s3", WRITER).create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    return name
