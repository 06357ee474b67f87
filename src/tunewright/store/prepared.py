"""Statements made once per database and run as plain text, which costs a fraction of building them anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, CursorResult, Dialect
from sqlalchemy.sql.elements import ClauseElement

Row: TypeAlias = Mapping[str, object]


class Prepared:
    """One compiled statement; its parameters are the names of its bind parameters."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.text = str(compiled)
        self._order: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}

    def run(self, connection: Connection, row: Row) -> CursorResult[Any]:
        return connection.exec_driver_sql(self.text, self._arguments(row))

    def run_many(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Once per row, in order; nothing at all when there are none."""
        if len(rows) == 1:
            connection.exec_driver_sql(self.text, self._arguments(rows[0]))
        elif rows:
            connection.exec_driver_sql(self.text, [self._arguments(row) for row in rows])

    def _arguments(self, row: Row) -> Any:
        if self._fixed:
            row = {**self._fixed, **row}
        return dict(row) if self._order is None else tuple([row[name] for name in self._order])
