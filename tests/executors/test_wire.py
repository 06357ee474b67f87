"""Messages between processes, with descriptors beside them."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from tunewright.executors import wire


def test_a_message_arrives_whole_with_more_descriptors_than_go_in_one_piece() -> None:
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    handles = [os.dup(writing) for _ in range(wire.MAX_DESCRIPTORS + 50)]
    data = b"long" * 100_000
    sender = threading.Thread(target=wire.send, args=(ours, data, handles))
    sender.start()
    received = wire.receive(theirs)
    sender.join()
    assert received is not None
    assert received[0] == data and len(received[1]) == len(handles)
    os.write(received[1][-1], b"x")
    assert os.read(reading, 2) == b"x" and not any(map(os.get_inheritable, received[1]))
    for handle in (*handles, *received[1], reading, writing):
        os.close(handle)
    wire.send(ours, b"")
    assert wire.receive(theirs) == (b"", [])
    ours.close()
    assert wire.receive(theirs) is None
    with pytest.raises(OSError):
        wire.send(theirs, b"nobody reads it")
    theirs.close()
