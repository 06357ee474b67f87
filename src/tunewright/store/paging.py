"""Pages by key: the position a page ended with, as a text, and the condition that the next one begins with.

A page is found through an index from where the last one ended, so that the thousandth costs what the first
does. Equal sort values are told apart by name.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, or_

from tunewright.core.errors import Invalid


@dataclass(frozen=True, slots=True)
class Order:
    """How rows are sorted.

    Args:
        sort: the sort key's name, part of every position.
        by: the column; the name's own for `Name`.
        name: the column that tells equal values apart; no two rows share it.
        earliest: equal values are in ascending order of name even when values descend, so that the first of
            several best ones is the earliest.
    """

    sort: str
    by: ColumnElement[Any]
    name: ColumnElement[str]
    descending: bool
    earliest: bool = False

    @property
    def columns(self) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """What a row must bring along for its position: its last two columns."""
        return self.by.label("sorted_by"), self.name.label("sorted_name")

    def page(self, statement: Select[Any], *, going_on: bool) -> Select[Any]:
        """The statement for the rows after a position, or for the first ones.

        It takes `most` rows, and where it goes on those after `place`.
        """
        if going_on:
            statement = statement.where(self._beyond())
        ordered = statement.order_by(self.by.desc() if self.descending else self.by)
        if self.by is not self.name:
            ordered = ordered.order_by(self.name.desc() if self._names_descend else self.name)
        return ordered.limit(bindparam("most", type_=Integer))

    def place(self, after: str) -> dict[str, object]:
        """What a statement that goes on takes for a position. Raises Invalid."""
        value, name = self._read(after)
        return {"place_value": value, "place_name": name}

    @property
    def _names_descend(self) -> bool:
        return self.descending and not self.earliest

    def _beyond(self) -> ColumnElement[bool]:
        """The first condition alone bounds the search of the index; the second leaves out what was shown."""
        value, name = bindparam("place_value", type_=self.by.type), bindparam("place_name", type_=self.name.type)
        strictly: ColumnElement[bool] = self.by < value if self.descending else self.by > value
        if self.by is self.name:
            return strictly
        bound = self.by <= value if self.descending else self.by >= value
        return and_(bound, or_(strictly, self.name < name if self._names_descend else self.name > name))

    def position(self, row: Sequence[Any]) -> str:
        """The position of a row, opaque and safe in a URL."""
        text = json.dumps([self.sort, self.descending, *row[-2:]])
        return urlsafe_b64encode(text.encode()).decode()

    def _read(self, after: str) -> tuple[Any, str]:
        try:
            sort, descending, value, name = json.loads(urlsafe_b64decode(after.encode()))
        except (ValueError, TypeError, RecursionError):
            sort, descending, value, name = None, None, None, None
        fits = isinstance(value, str if self.sort in ("Name", "Status") else float) and isinstance(name, str)
        if not fits or (sort, descending) != (self.sort, self.descending):
            message = f"{after[:80]!r} is not the position of a page with this order; start again without it."
            raise Invalid.one("nextToken", message)
        return value, name


def unknown_sort(sort: str, known: tuple[str, ...]) -> Invalid:
    return Invalid.one("sortBy", f"{sort!r} is not one of {', '.join(known)}.")
