"""A bounded memory for what is worked out from an object and asked for again: the least recently used gives way."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Owner = TypeVar("Owner")
T = TypeVar("T")


class Recent(Generic[Owner, T]):
    """Values by the object that they belong to, known by its identity. Safe to use from several threads.

    An owner is kept alive for as long as its value is, so that no other object can take its identity.

    Args:
        most: values kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[int, tuple[Owner, T]] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, owner: Owner) -> T | None:
        """The owner's value, None when there is none or none any more."""
        with self._lock:
            if id(owner) not in self._known:
                return None
            self._known.move_to_end(id(owner))
            return self._known[id(owner)][1]

    def put(self, owner: Owner, value: T) -> None:
        """Keep a value in the place of the owner's last one."""
        with self._lock:
            self._known[id(owner)] = (owner, value)
            self._known.move_to_end(id(owner))
            if len(self._known) > self._most:
                self._known.popitem(last=False)

    def of(self, owner: Owner, make: Callable[[], T]) -> T:
        """The owner's value, made once; others who ask meanwhile wait for it."""
        with self._lock:
            value = self.get(owner)
            if value is None:
                value = make()
                self.put(owner, value)
            return value
