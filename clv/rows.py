"""One partition's rows in memory, encoded as a worker's store keeps them: no broker, no changelog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clv.state import decode_row, due_of, encode_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clv.state import Row


class EncodedRows:
    """Rows as bytes in a dict; satisfies ``clv.pipeline.Rows``.

    Parameters
    ----------
    rows
        Bytes by name, kept and changed in place; none by default.
    incarnation
        Stands for the life of the source topic that positions in the rows belong to.
    """

    def __init__(self, rows: dict[str, bytes] | None = None, incarnation: int = 1) -> None:
        self.incarnation = incarnation
        self.rows: dict[str, bytes] = {} if rows is None else rows

    def get(self, customer_id: str) -> Row | None:
        """Return a fresh copy of a customer's row."""
        row = self.rows.get(customer_id)
        return None if row is None else decode_row(row, self.incarnation)

    def due_of(self, customer_id: str) -> int | None:
        """Return when a customer's next timer is due."""
        row = self.rows.get(customer_id)
        return None if row is None else due_of(row)

    def put(self, changed: Mapping[str, Row | None]) -> None:
        """Write changed rows back; None deletes."""
        for customer_id, row in changed.items():
            if row is None:
                self.rows.pop(customer_id, None)
            else:
                self.rows[customer_id] = encode_row(row, self.incarnation)
