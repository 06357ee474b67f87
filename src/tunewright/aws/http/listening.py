"""HTTP connections that do not wait for ever: a request's head has to arrive in time and must not be huge."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import socket
import ssl
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tunewright.core.errors import Invalid

HEAD_SECONDS = 30.0
MAX_HEAD = 64 * 1024
PER_LINE = 32
"""What each line of a head counts for beside its bytes."""
MAX_CONNECTIONS = 1000
GRACE_SECONDS = 10
WAITING_BYTES = 128 * 1024
"""How much of an answer waits in memory for a slow client before no more is read from the disk."""
TLS_BYTES = 32 * 1024
"""How much is taken off a TLS connection at once: a record and a bit, where asyncio sets aside 256 KiB for each."""
FAREWELL_SECONDS = 1.0
"""How long an idle client may take to answer the end of a TLS connection; pools of clients never do."""


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a limit of time and size for the head of each request."""

    _timer: asyncio.TimerHandle | None = None
    _size = 0
    _in_head = True
    _arrived = 0

    def connection_made(self, transport: Any) -> None:
        # Else an answer's body waits until the client acknowledged its head, which clients put off by 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=WAITING_BYTES)
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The parser tells a header when it is complete, so that one without an end is counted here."""
        self._arrived += len(data)
        super().data_received(data)
        if self._in_head and self._arrived > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._size, self._in_head, self._arrived = 0, True, 0
        self._arm()

    def on_url(self, url: bytes) -> None:
        self._count(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(name + value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._disarm()
        super().on_headers_complete()

    def _count(self, data: bytes) -> None:
        self._size += len(data) + PER_LINE
        if self._size > MAX_HEAD:
            raise ValueError("the head of the request is too large")

    def _arm(self) -> None:
        self._disarm()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._close)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def shutdown(self) -> None:
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(FAREWELL_SECONDS, self.transport.abort)

    def _close(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()


class PunctualServer(uvicorn.Server):
    """uvicorn's server that leaves no connection behind: an event loop must not be closed over open ones."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        # Their ends are told in the next turns of the loop.
        for _ in range(3):
            await asyncio.sleep(0)


def make_server(app: Any, certificate: Path | None, key: Path | None) -> uvicorn.Server:
    """A server for an application, over TLS where there is a certificate.

    Raises:
        Invalid: the certificate or its key cannot be used.
    """
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        # uvloop waits for ever when it is closed over a TLS connection whose client is silent.
        loop="asyncio",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whoever connects could name another address
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=str(certificate) if certificate else None,
        ssl_keyfile=str(key) if key else None,
    )
    if certificate is not None:
        asyncio.sslproto.SSLProtocol.max_size = TLS_BYTES
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise Invalid.one("--tls-cert", f"the certificate and its key cannot be used: {error}.") from error
    return PunctualServer(config)
