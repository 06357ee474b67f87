"""Statements made once per database and run on the driver's own cursor, at a fraction of the usual cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql.elements import ClauseElement

Row: TypeAlias = Mapping[str, object]


class Prepared:
    """One compiled statement; a row names its bind parameters, and may hold more than that."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.text = str(compiled)
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
        self._order: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self._names = tuple(name for name in compiled.params if name not in self._fixed)

    def run(self, cursor: DBAPICursor, row: Row) -> DBAPICursor:
        cursor.execute(self.text, self._arguments(row))
        return cursor

    def run_many(self, cursor: DBAPICursor, rows: Sequence[Row]) -> None:
        """Once per row, in order; nothing at all when there are none."""
        if len(rows) == 1:
            cursor.execute(self.text, self._arguments(rows[0]))
        elif rows:
            cursor.executemany(self.text, [self._arguments(row) for row in rows])

    def _arguments(self, row: Row) -> Any:
        if self._fixed:
            row = {**self._fixed, **row}
        if self._order is not None:
            return tuple([row[name] for name in self._order])
        return {name: row[name] for name in (*self._names, *self._fixed)}
