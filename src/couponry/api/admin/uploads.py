"""`POST /admin/v1/uploads`: a file that lists customers, for jobs to be for."""

import asyncio
from typing import Annotated, Final

import falcon.asgi
import msgspec
from msgspec import Meta, Struct

from couponry.api.admin.queries import bad, is_number
from couponry.api.call import Call, Reply
from couponry.api.envelopes import ADMIN_UPLOADS, ProblemDetails, admin_failure, problem
from couponry.api.operation import Operation
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.core.audience import Audience, ListKind, listed
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store.bulk.sheets import columns_of
from couponry.store.keeping import Keeper, Origin, kept
from couponry.store.receiving import Received, received


class UploadBody(Struct, rename="camel"):
    """A CSV with a header, and by what it names customers (`identifier`), in which column, counted from 0; 0 unless given."""

    file: Annotated[str, Meta(extra_json_schema={"format": "binary"})]
    identifier: ListKind
    column: int = 0


class Uploaded(Struct, frozen=True, rename="camel"):
    """A file that jobs can be for, by `uploadId`."""

    upload_id: int
    name: str
    bytes: int


OPERATIONS: Final = (
    Operation(
        ADMIN_UPLOADS,
        "post",
        "Upload a file that lists customers",
        Uploaded,
        ProblemDetails,
        UploadBody,
        success_status=201,
        refusal_status=400,
        codes=(Code.INVALID_INPUT,),
        body_type="multipart/form-data",
    ),
)
_FIELDS: Final = ("identifier", "column")


def routes(parts: Parts) -> dict[str, object]:
    """The resource of this module."""
    return {ADMIN_UPLOADS: Uploads(parts)}


class Uploads:
    """Takes files."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Keep it."""
        org = org_of(req)
        taken = await self._taken(req, org) if isinstance(org, Org) else org
        if isinstance(taken, Uploaded):
            Reply(201, msgspec.json.encode(taken)).write(resp)
        else:
            (problem(taken) if isinstance(taken, Problem) else admin_failure(taken)).write(resp)

    async def _taken(self, call: Call, org: Org) -> Uploaded | Problem | Code:
        async with received(call, self._parts.folder, org.id, _FIELDS) as sent:
            if not isinstance(sent, Received):
                return sent
            named = _named(sent)
            if isinstance(named, Problem):
                return named
            columns = await asyncio.to_thread(columns_of, sent.path)
            if isinstance(columns, Problem):
                return columns
            if named.column >= len(columns):
                return bad(f"the file has no column {named.column}")
            origin = Origin(org.id, identifier=named.identifier, identifier_column=named.column)
            keeper = Keeper(self._parts.back_office, self._parts.folder, self._parts.clock())
            return await kept(keeper, sent, origin, lambda _, upload: Uploaded(upload.id, upload.sent_name, upload.size_bytes))


def _named(sent: Received) -> Audience | Problem:
    """By what the file names its customers."""
    column = sent.fields.get("column") or "0"
    if not is_number(column):
        return bad("column is a number")
    return listed(0, sent.fields.get("identifier", ""), int(column))
