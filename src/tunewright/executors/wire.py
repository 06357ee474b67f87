"""Messages between processes of this room: bytes with their length in front, and open descriptors beside them."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence

MAX_DESCRIPTORS = 250
"""How many go along with one piece of a message; Linux takes 253."""
_LENGTH = struct.Struct("!I")


def send(line: socket.socket, data: bytes, handles: Sequence[int] = ()) -> None:
    """Send a message whole. Raises OSError when the other end is gone."""
    rest = _LENGTH.pack(len(data)) + data
    for first in range(0, len(handles), MAX_DESCRIPTORS):
        some = handles[first : first + MAX_DESCRIPTORS]
        more = first + len(some) < len(handles)
        rest = rest[socket.send_fds(line, [rest[:1] if more else rest], some) :]
    # Even nothing cannot be sent to a process that has the whole message and has crashed on it already.
    if rest:
        line.sendall(rest)


def receive(line: socket.socket) -> tuple[bytes, list[int]] | None:
    """The next message and its descriptors (closed on exec); None when the other end is gone.

    There is never more than one message under way on a line, for each is answered before the next is sent.
    """
    handles: list[int] = []
    data = bytearray()
    wanted = _LENGTH.size
    try:
        while len(data) < wanted:
            more, some, _, _ = socket.recv_fds(line, 1 << 16, MAX_DESCRIPTORS)
            handles += some
            if not more:
                raise ConnectionResetError
            data += more
            if len(data) >= _LENGTH.size:
                wanted = _LENGTH.size + int(_LENGTH.unpack_from(data)[0])
    except OSError:
        for handle in handles:
            os.close(handle)
        return None
    for handle in handles:
        os.set_inheritable(handle, False)
    return bytes(data[_LENGTH.size :]), handles
