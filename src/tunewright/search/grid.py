"""Grid search: every point of a finite space once, in a stable order.

The order is mixed-radix counting: parameters and values in the order given, the last parameter fastest; with
conditions, parameters follow those that their conditions speak of.
"""

from __future__ import annotations

from tunewright.core.errors import Invalid
from tunewright.core.history import History
from tunewright.core.ports import Proposals
from tunewright.search.arrays import Floats
from tunewright.search.encode import Cube
from tunewright.search.random import Taken, fill
from tunewright.search.recent import Recent
from tunewright.search.table import Tables


class GridSearch:
    """All points in counting order; those that already have a trial are passed over."""

    def __init__(self, tables: Tables | None = None) -> None:
        self._tables = tables or Tables()
        self._places: Recent[Cube, int] = Recent(64)

    def propose(self, history: History, first: int, count: int) -> Proposals:
        """The next points.

        Raises:
            Invalid: the space has continuous parameters, so that it cannot be counted.
        """
        table = self._tables.of(history)
        endless = [name for name, axis in zip(table.cube.names, table.cube.axes, strict=True) if axis.size is None]
        if endless:
            raise Invalid.one(
                ", ".join(endless),
                "Grid needs a finite number of values; give a step, or use a categorical or an integer range.",
            )
        if table.cube.size is None:
            text = (
                "Grid cannot count the combinations that the conditions leave; tune fewer values, or search at random."
            )
            raise Invalid.one("conditions", text)
        with table.lock:
            return fill(table, first, count, lambda number, taken: self._row(table.cube, taken))

    def _row(self, cube: Cube, taken: Taken) -> Floats | None:
        """The first free point. What the history holds stays taken: the place up to which all is, is kept."""
        place = self._places.get(cube) or 0
        assert cube.size is not None, "checked before"
        found = None
        at = place
        while at < cube.size and found is None:
            row = cube.row_at(at)
            key = cube.key(row)
            if key not in taken:
                found = row
            elif at == place and key in taken.known:
                place += 1
            at += 1
        self._places.put(cube, place)
        return found
