"""What exports read, page by page."""

from sqlalchemy import Table, select

from couponry.core.exporting import ExportRequest
from couponry.core.problem import Problem
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction


def problem(tx: ReadTransaction, org_id: int, request: ExportRequest) -> Problem | None:
    """Why there can be no such export: a series or campaign that the org has not, or nothing that could be meant."""
    if request.shape_problem:
        return Problem("invalid", request.shape_problem)
    for named, table, found_id in (("series", t.series, request.series_id), ("campaign", t.campaign, request.campaign_id)):
        if found_id is not None and not _is_there(tx, org_id, table, found_id):
            return Problem("unknown", f"there is no {named} {found_id}")
    return None


def _is_there(tx: ReadTransaction, org_id: int, table: Table, row_id: int) -> bool:
    return bool(tx.rows(select(table.c.id).where(table.c.org_id == org_id, table.c.id == row_id), {}))
