"""Uploads of a million coupons over HTTP, one row in a hundred wrong: from the first byte sent to the last row told of."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

from bench import jobs
from bench.data import CODE_PRIME, CODE_STEP, CUSTOMER_STEP, Size, authorization, mobile, write_rows
from bench.installation import Installation, installed
from bench.machine import processes_below

SIZE: Final = Size(100_000, 20, 1_000)
WRONG_EACH: Final = 100
POLL_S: Final = 0.25
_UPLOADS: Final = "/coupon/api/v1/upload/"
_BOUNDARY: Final = "a-line-that-no-code-is"


def measured(count: int, database: str, url: str, folder: Path) -> Iterator[jobs.Measured]:
    """Codes for a pool; then codes for customers, by the rules of an issue."""
    print(f"loading {SIZE.customers:,} customers on {database}", flush=True)
    installation = installed(url, folder, SIZE)
    couponry = installation.couponry
    couponry.environment["COUPONRY_FILES_DIR"] = str(folder / f"uploads-{database}")
    series = {what: _pool(installation, what.upper()) for what in ("codes", "tagged")}
    couponry.settle()
    with couponry.serving():
        for what, series_id in series.items():
            path = folder / f"{what}-{database}.csv"
            _write(path, what, count)
            yield _uploaded(installation, database, what, series_id, path, count)
    if differences := couponry.differences():
        raise RuntimeError(differences)


def _pool(installation: Installation, code: str) -> int:
    """A series with uploaded codes, of which a customer may hold several; its id."""
    path = installation.folder / "pool.csv"
    row = {
        "seriesCode": code,
        "description": "15 percent off",
        "discountType": "PERC",
        "discountValue": "15",
        "clientHandlingType": "DISC_CODE_PIN",
        "isMultipleVouchersPerUserAllowed": "true",
    }
    write_rows(path, tuple(row), [tuple(row.values())])
    installation.couponry.run("import", "series", str(path), "--org", str(installation.org_id))
    return installation.couponry.series_id(installation.org_id, code)


def _write(path: Path, what: str, count: int) -> None:
    codes = (f"{what[0].upper()}{(n + 1 - (n % WRONG_EACH == 1)) * CODE_STEP % CODE_PRIME}" for n in range(count))
    if what == "codes":
        write_rows(path, ("code",), ((code,) for code in codes))
    else:
        people = (mobile(n * CUSTOMER_STEP % SIZE.customers) for n in range(count))
        write_rows(path, ("mobile", "code"), zip(people, codes, strict=True))


def _uploaded(installation: Installation, database: str, what: str, series_id: int, path: Path, count: int) -> jobs.Measured:
    port, wrong = installation.couponry.port, len(range(1, count, WRONG_EACH))
    start = time.monotonic()
    sent = _asked(port, "POST", f"file/{series_id}", _form(path, "NOT_TAGGED" if what == "codes" else "MOBILE"))
    while (job := _only(_asked(port, "GET", f"getUploadStatus/{series_id}")))["uploadStatus"] == "STARTED":
        time.sleep(POLL_S)
    seconds = time.monotonic() - start
    assert _only(sent)["jobId"] == job["jobId"]
    errors = _fetched(port, "GET", f"files/{job['errorFileUrl']}")
    right = (job["uploadStatus"], job["totalUploadedCount"], job["errorCount"], errors.count(b"\n")) == (
        "FINISHED",
        count,
        wrong,
        wrong + 1,
    )
    pid = installation.couponry.pid
    assert pid is not None
    peak_mib = max(map(jobs.peak_mib_of, processes_below(pid, "worker")))
    rows = job["totalUploadedCount"]
    complaint = "" if right else f"it ended as {job}"
    one = jobs.Measured(f"upload of {what}", database, rows, count, seconds, peak_mib, len(errors) / 2**20, complaint)
    print(one.line, flush=True)
    return one


def _form(path: Path, identifier: str) -> bytes:
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="customerIdentifier"\r\n\r\n{identifier}\r\n'
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\nContent-Type: text/csv\r\n\r\n'
    )
    return head.encode() + path.read_bytes() + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _asked(port: int, method: str, path: str, form: bytes | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(_fetched(port, method, path, form))
    return answer


def _fetched(port: int, method: str, path: str, form: bytes | None = None) -> bytes:
    headers = authorization() | ({"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"} if form else {})
    with closing(HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        connection.request(method, f"{_UPLOADS}{path}", form, headers)
        answer = connection.getresponse()
        body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{method} {path}: {answer.status} {body[:500]!r}")
    return body


def _only(answer: dict[str, Any]) -> dict[str, Any]:
    listed: Sequence[dict[str, Any]] = answer["result"]["uploadJobStatuses"]
    (one,) = listed
    return one
