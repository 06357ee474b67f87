"""A network of its own for the program of a training job that asks for isolation: loopback, and nothing else.

A process may go into a network namespace, but only the superuser may come back from one. So a thread goes there and
stays: a program is in the namespace of the thread that starts it, and this process's other threads are where they
were. The thread lives as long as the process does, for a program is killed when the thread that started it ends.

Sources: network_namespaces(7), unshare(2), netdevice(7).
"""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tunewright.core.trial import Failure
from tunewright.executors.reasons import Refused
from tunewright.executors.rooms import Rooms, unshare

T = TypeVar("T")

_NEWNET, _FS = 0x40000000, 0x00000200
_SIOCSIFFLAGS, _UP = 0x8914, 0x1
_NONE = (
    "EnableNetworkIsolation asks for a network of the training job's own, which this system refuses to make; leave"
    " EnableNetworkIsolation out, or let the system make user and network namespaces"
)


class Networks:
    """Starts programs in networks of their own, one job after the other.

    Args:
        mounts: what gains the right to make namespaces; before the first thread there is, as the kernel wants it.
    """

    def __init__(self, mounts: Rooms) -> None:
        self.mounts = mounts
        self._thread: ThreadPoolExecutor | None = None

    def renew(self) -> None:
        """Make a new network; what is started from now on is in it. Raises Refused where the kernel makes none."""
        try:
            if self._thread is None:
                self.mounts.unlock()
                self._thread = ThreadPoolExecutor(1, "tunewright-isolated")
                # Rooms are entered and left by a thread for itself alone.
                self._thread.submit(unshare, _FS).result()
            self._thread.submit(_renew).result()
        except OSError as error:
            raise Refused(Failure.CLIENT, f"{_NONE} ({error.strerror or error}).") from error

    def inside(self, call: Callable[[], T]) -> T:
        """What `call` gives, called in the newest network."""
        assert self._thread is not None, "there is no network before the first `renew`"
        return self._thread.submit(call).result()


def _renew() -> None:
    unshare(_NEWNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        fcntl.ioctl(line, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _UP))
