"""The end of a server: whatever its clients were doing, it ends, and leaves no connection open."""

from __future__ import annotations

import contextlib
import gc
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from aws.world import World

from tunewright.aws.http import listening

from .conftest import CERTIFICATE, Server

HALF_A_HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Half"
HALF_A_BODY = b"PUT /tunewright/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf"
A_WHOLE_ONE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextlib.contextmanager
def client(server: Server, said: bytes, *, greet: bool = True) -> Iterator[socket.socket]:
    """A connection on which something was said, in the end without a farewell."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    try:
        if server.tls and greet:
            context = ssl.create_default_context(cafile=str(CERTIFICATE))
            connection = context.wrap_socket(connection, server_hostname="localhost", suppress_ragged_eofs=True)
        connection.sendall(said)
        if said == A_WHOLE_ONE:
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        yield connection
    finally:
        connection.close()


@pytest.mark.parametrize("tls", [False, True], ids=["http", "tls"])
def test_a_server_ends_whatever_its_clients_do(tls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "GRACE_SECONDS", 1)
    world = World(tmp_path)
    with contextlib.ExitStack() as clients:
        with Server(world, {}, tls=tls, strict=True) as server:
            for said in (HALF_A_HEAD, HALF_A_BODY, A_WHOLE_ONE):
                clients.enter_context(client(server, said))
            clients.enter_context(client(server, b"", greet=False))
        assert not server.thread.is_alive()
        assert not server.uvicorn.server_state.connections
    world.store.close()
    # A transport that was left open complains when it is collected, which the suite takes for an error.
    gc.collect()
