"""`GET /coupon/api/v1/upload/files/{name}`: what failed in an upload and why, and what was done (upload 4)."""

import re
from typing import Final

import falcon.asgi

from couponry.api.call import Call
from couponry.api.envelopes import UPLOADS, upload_failure
from couponry.api.parts import Parts
from couponry.api.upload import described
from couponry.core.jobs import FileRole, JobFile, JobKind
from couponry.core.status import Code
from couponry.store.engine import ReadTransaction
from couponry.store.folder import Written
from couponry.store.jobs import find_file, read_job

OPERATIONS: Final = described.FILES
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,255}")
# What other jobs write holds an org's customers and coupons, which is for its admins.
_KINDS: Final = frozenset({JobKind.UPLOAD, JobKind.REDEEMED_UPLOAD})
_ROLES: Final = frozenset({FileRole.ERRORS, FileRole.DONE})


def routes(parts: Parts) -> dict[str, object]:
    """The files of all uploads by name."""
    return {f"{UPLOADS}files/{{name}}": WrittenFiles(parts)}


class WrittenFiles:
    """Hands out the files that uploads have written."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def on_get(self, req: Call, resp: falcon.asgi.Response, name: str) -> None:
        """One file, if it is the org's own."""
        found = await self._opened(req.principal.org_id, name)
        if isinstance(found, Code):
            upload_failure(found).write(resp)
            return
        file, size_bytes = found
        resp.content_type = "text/csv; charset=utf-8"
        resp.downloadable_as = f"{name}.csv"
        resp.set_header("X-Content-Type-Options", "nosniff")
        resp.set_stream(file, size_bytes)

    async def _opened(self, org_id: int, name: str) -> tuple[Written, int] | Code:
        if not _NAME.fullmatch(name):
            return Code.UNKNOWN_RESOURCE
        found = await self._parts.back_office.read(lambda tx: _find(tx, org_id, name))
        if isinstance(found, Code):
            return found
        job_id, file = found
        try:
            return Written(self._parts.folder.written(org_id, job_id, file.role), file.size_bytes), file.size_bytes
        except FileNotFoundError:
            return Code.UNKNOWN_RESOURCE


def _find(tx: ReadTransaction, org_id: int, name: str) -> tuple[int, JobFile] | Code:
    found = find_file(tx, org_id, name)
    if found is None or found[1].role not in _ROLES:
        return Code.UNKNOWN_RESOURCE
    job = read_job(tx, org_id, found[0])
    return found if job and job.kind in _KINDS else Code.UNKNOWN_RESOURCE
