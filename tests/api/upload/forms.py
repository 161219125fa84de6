"""Forms as clients send them, and who sends them."""

import base64
from pathlib import Path
from typing import Any, Final

import httpx

from couponry.core.jobs import Job, JobKind
from couponry.store.jobs import jobs_of_series
from tests.api.holdings import series_id
from tests.api.shop import ADDRESS, BASIC, Front, Raw, Shop

PATH: Final = "/coupon/api/v1/upload/"
CODES: Final = b"code\r\nAB-1\r\nAB-2\r\n"
BOTH: Final = b"mobile,code\r\n919812300001,AB-1\r\n"
USED: Final = b"when,till,mobile,code,bill,number,details\r\n1930000000000,301,919812300001,AB-1,7,B-7,none\r\n"
HEADERS: Final = (
    '{"redeemedDateInMillis": 0, "redeemedAt": 1, "mobile": 2, "couponCode": 3, "billId": 4, "billNumber": 5, "details": 6}'
)
BOUNDARY: Final = "aXq7"
CODES_FORM: Final = {"customerIdentifier": "NOT_TAGGED"}
USED_FORM: Final = {"customerIdentifier": "MOBILE", "couponIdentifier": "COUPON_CODE", "uploadHeaders": HEADERS}


class Sender:
    """Hands in files for the series of a shop."""

    def __init__(self, shop: Shop, front: Front, files: Path) -> None:
        self.shop, self.front, self.files = shop, front, files

    def upload(
        self, series: str = "POOL", body: bytes = CODES, name: str = "codes.csv", *, kind: str = "file", **more: Any
    ) -> httpx.Response:
        """A file of codes, or with `kind` redeemFile one of redemptions; `form` are the other fields."""
        form = more.pop("form", CODES_FORM if kind == "file" else USED_FORM)
        path = f"{PATH}{kind}/{series_id(self.shop, series)}"
        return self.front.ask("POST", path, files={"file": (name, body, "text/csv")}, data=form, **more)

    def statuses(self, series: str = "POOL", kind: str = "getUploadStatus", **more: Any) -> httpx.Response:
        return self.front.ask("GET", f"{PATH}{kind}/{series_id(self.shop, series)}", **more)

    def raw(self, body: bytes, headers: dict[str, str] | None = None, content_type: str = "") -> Raw:
        """Exactly this body."""
        usual = {
            "content-type": content_type or f"multipart/form-data; boundary={BOUNDARY}",
            "content-length": str(len(body)),
            "authorization": f"Basic {base64.b64encode(':'.join(BASIC).encode()).decode()}",
            **(headers or {}),
        }
        sent = [(name.encode(), value.encode("latin-1")) for name, value in usual.items()]
        return self.front.raw("POST", f"{PATH}file/{series_id(self.shop, 'POOL')}", sent, body)

    def scope(self, path: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
        """A POST of the till whose body is still to come."""
        credential = b"Basic " + base64.b64encode(":".join(BASIC).encode())
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [*headers, (b"authorization", credential)],
            "client": (ADDRESS, 4711),
            "server": ("shop.test", 80),
            "state": {},
        }

    def jobs(self, series: str = "POOL", kind: JobKind = JobKind.UPLOAD) -> list[Job]:
        with self.shop.database.reading() as tx:
            return jobs_of_series(tx, self.shop.org_id, series_id(self.shop, series), kind, 10)

    def kept(self) -> list[Path]:
        """All files that lie in the folder."""
        return sorted(path for path in self.files.rglob("*") if path.is_file())


def part(name: str, value: bytes, filename: str = "") -> bytes:
    """A part of a form with its boundary before it."""
    attached = f'; filename="{filename}"' if filename else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{attached}\r\n\r\n'
    return head.encode("utf-8", "surrogateescape") + value + b"\r\n"


END: Final = f"--{BOUNDARY}--\r\n".encode()
