"""Statements made once per database and run on the driver's own cursor, at a fraction of the usual cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import Compiled, Dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql.elements import ClauseElement

Row: TypeAlias = Mapping[str, object]


class Prepared:
    """One statement, compiled when it is first run; a row names its bind parameters, and may hold more than that."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        self._statement = statement
        self._dialect = dialect

    @cached_property
    def text(self) -> str:
        return str(self._compiled)

    @cached_property
    def _compiled(self) -> Compiled:
        return self._statement.compile(dialect=self._dialect)

    @cached_property
    def _fixed(self) -> dict[str, object]:
        """Parameters that the statement brings along."""
        return {name: value for name, value in self._compiled.params.items() if value is not None}

    @cached_property
    def _order(self) -> Sequence[str] | None:
        """The parameters' names in the order of their marks, for drivers that count rather than name."""
        order: Sequence[str] | None = getattr(self._compiled, "positiontup", None)
        return order

    def run(self, cursor: DBAPICursor, row: Row) -> DBAPICursor:
        cursor.execute(self.text, self._arguments(row))
        return cursor

    def run_many(self, cursor: DBAPICursor, rows: Sequence[Row]) -> None:
        """Once per row, in order; nothing at all when there are none."""
        if len(rows) == 1:
            self.run(cursor, rows[0])
        elif rows:
            cursor.executemany(self.text, [self._arguments(row) for row in rows])

    def _arguments(self, row: Row) -> Any:
        if self._fixed:
            row = {**self._fixed, **row}
        return self._pick(row)

    @cached_property
    def _pick(self) -> Callable[[Row], Any]:
        """What the driver is given of a row; curves have rows by the hundred thousand."""
        names = list(self._compiled.params)
        if self._order is None:
            return lambda row: {name: row[name] for name in names}
        if len(self._order) > 1:
            return itemgetter(*self._order)
        return lambda row: tuple([row[name] for name in self._order or ()])
