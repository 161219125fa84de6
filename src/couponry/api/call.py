"""One request on its way through the gate, and the one way to answer it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import falcon.asgi
from msgspec import Struct

from couponry.api.principals import Principal
from couponry.core.limits import REQUEST_BODY_BYTES_MAX
from couponry.core.status import Code

if TYPE_CHECKING:
    from couponry.api.v1_1.wire import Wire


class Call(falcon.asgi.Request):
    """A request with what the gate found out about it. `principal` is set on every route that needs a
    credential, `wire` on v1.1 requests: it answers in the format that they ask for.
    """

    __slots__ = ("is_turned_away", "principal", "request_id", "started_s", "wire")

    principal: Principal
    request_id: str
    started_s: float
    is_turned_away: bool
    wire: "Wire"

    def raw_header(self, name: bytes) -> bytes | None:
        """A header by its lower-case name, as sent; several of one name are joined by commas."""
        return self._asgi_headers.get(name)

    def header(self, name: bytes) -> str:
        """A header as text without surrounding blanks; empty when absent."""
        value = self._asgi_headers.get(name)
        if not value:
            return ""
        try:
            return value.decode().strip()
        except UnicodeDecodeError:
            return value.decode("latin-1").strip()

    def has_json_body(self) -> bool:
        """Whether the body, if there is one, claims to be JSON; without a claim it is taken for JSON (README 3)."""
        content_type = self._asgi_headers.get(b"content-type")
        return not content_type or content_type.partition(b";")[0].strip().lower() == b"application/json"

    def has_multipart_body(self) -> bool:
        """Whether the body claims to be a form with files."""
        return self.header(b"content-type").partition(";")[0].strip().lower() == "multipart/form-data"

    async def body(self) -> bytes | Code:
        """The whole body; one over the limit is not read to its end."""
        length = self.content_length
        if length is not None:
            return await self.stream.read() if length <= REQUEST_BODY_BYTES_MAX else Code.BODY_TOO_LARGE
        read = await self.stream.read(REQUEST_BODY_BYTES_MAX + 1)
        return read if len(read) <= REQUEST_BODY_BYTES_MAX else Code.BODY_TOO_LARGE


class Reply(Struct, frozen=True, gc=False):
    """An answer: HTTP status, body, and headers beyond those that every answer has."""

    status: int
    body: bytes
    headers: Mapping[str, str] | None = None

    def write(self, resp: falcon.asgi.Response) -> None:
        """Hand the answer to Falcon."""
        resp.status = self.status
        resp.data = self.body
        if self.headers:
            for name, value in self.headers.items():
                resp.set_header(name, value)
