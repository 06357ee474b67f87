"""Clients that are slow, silent, too many or too large: each is shown out, and the server goes on for the others."""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tunewright.aws.http import call, listening

from .conftest import Server, served

PATIENCE = 60.0
HALF_A_BODY = b"Host: localhost\r\nContent-Length: 1000\r\n\r\n{"


@contextlib.contextmanager
def connected(server: Server, said: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(said)
        yield connection


def heard(connection: socket.socket) -> bytes:
    """All that the server says until it closes the connection."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(65536):
            found += data
    return found


def answers(server: Server) -> bool:
    with urlopen(server) as answer:
        return bool(answer.status == 200)


@contextlib.contextmanager
def urlopen(server: Server) -> Iterator[Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.request("GET", "/healthz")
    yield connection.getresponse()
    connection.close()


@pytest.mark.parametrize("said", [b"", b"GET /hea", b"GET /healthz HTTP/1.1\r\nHost: loc"], ids=repr)
def test_a_head_has_to_arrive_in_time(said: bytes, open_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HEAD_SECONDS", 0.05)
    with connected(open_server, said) as silent:
        assert heard(silent) == b""
    assert answers(open_server)


def test_the_head_of_a_second_request_has_to_arrive_in_time_too(
    open_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "HEAD_SECONDS", 0.05)
    with connected(open_server, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hea") as silent:
        assert heard(silent).count(b"HTTP/1.1 200") == 1
    assert answers(open_server)


BODIES = {
    "json": b"POST / HTTP/1.1\r\nX-Amz-Target: SageMaker.ListTags\r\n",
    "form": b"POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n",
    "object": b"PUT /tunewright/slow HTTP/1.1\r\n",
    "document": b"POST /tunewright?delete HTTP/1.1\r\n",
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_that_stalls_is_given_up(
    kind: str, open_server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(call, "BODY_SECONDS", 0.05)
    with connected(open_server, BODIES[kind] + HALF_A_BODY) as silent:
        found = heard(silent)
    assert found.startswith(b"HTTP/1.1 408") and b"connection: close" in found.lower()
    assert not errors(caplog)
    assert answers(open_server)


@pytest.mark.parametrize("kind", BODIES)
def test_a_client_that_leaves_in_the_middle_is_no_error(
    kind: str, open_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(open_server, BODIES[kind] + HALF_A_BODY) as leaving:
        leaving.shutdown(socket.SHUT_WR)
        heard(leaving)
    assert answers(open_server)
    assert not errors(caplog)


def errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


HEADS = {
    "path": b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "value": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    "name": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"x" * 70_000 + b": 1\r\n\r\n",
    "endless": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000,
    "many": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"a: 1\r\n" * 30_000 + b"\r\n",
}


@pytest.mark.parametrize("kind", HEADS)
def test_heads_of_any_form_are_bounded(kind: str, open_server: Server) -> None:
    with connected(open_server, b"") as large:
        with contextlib.suppress(ConnectionError):
            large.sendall(HEADS[kind])
        assert heard(large).startswith(b"HTTP/1.1 400")
    assert answers(open_server)


def test_connections_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setattr(listening, "MAX_CONNECTIONS", 3)
    for server in served(tmp_path_factory.mktemp("few")):
        with contextlib.ExitStack() as clients:
            statuses: list[int] = []
            while 503 not in statuses and len(statuses) < 200:
                # Those before may not have been noticed yet, or given up already.
                for _ in range(3):
                    clients.enter_context(connected(server, BODIES["object"] + HALF_A_BODY))
                with urlopen(server) as answer:
                    statuses.append(answer.status)
            assert statuses[-1] == 503 and set(statuses) <= {200, 503}
        while True:
            with urlopen(server) as answer:
                if answer.status == 200:
                    break
