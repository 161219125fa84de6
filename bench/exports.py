"""Export of millions of coupons, as CSV and as Parquet."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench import jobs
from bench.data import Size
from bench.fill import fill
from bench.installation import installed
from couponry.core.exporting import ExportRequest, FileFormat, What
from couponry.core.jobs import JobKind
from couponry.store.jobs import Draft

SIZE: Final = Size(coupons=50_000)


def measured(count: int, database: str, url: str, folder: Path) -> Iterator[jobs.Measured]:
    """Every coupon of an org with its customer."""
    print(f"loading {count:,} coupons on {database}", flush=True)
    installation = installed(url, folder, SIZE)
    fill(installation.couponry, installation.org_id, SIZE, count - SIZE.coupons, time.time_ns() // 1_000_000)
    installation.couponry.settle()
    for file_format in FileFormat:
        request = ExportRequest(what=What.COUPONS, file_format=file_format)
        draft = Draft(kind=JobKind.EXPORT, series_id=None, request=request)
        yield jobs.measured(installation, database, f"export as {file_format}", draft, count + 1)  # and the shared code's own row
