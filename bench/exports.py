"""Export of millions of coupons by a worker of its own, as CSV and as Parquet: rows a second, and the most memory it ever had."""

import datetime as dt
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.data import Size
from bench.fill import fill
from bench.installation import Installation, installed
from bench.machine import machine, short_name, versions
from bench.server import STOP_SECONDS_MAX, Couponry
from couponry.core.exporting import ExportRequest, FileFormat, What
from couponry.core.jobs import ENDED, FileRole, Job, JobKind, JobState
from couponry.store.engine import Database
from couponry.store.jobs import Draft, create_job, read_job
from tests.databases import PostgresServer, fresh_sqlite, postgresql_binary

SIZE: Final = Size(coupons=50_000)
KEPT_COUPONS_MIN: Final = 1_000_000
MEMORY_MIB_MAX: Final = 300
POLL_S: Final = 0.2


@dataclass(frozen=True)
class Measured:
    """One export, from when its job was made to when it was done."""

    database: str
    file_format: str
    rows: int
    seconds: float
    peak_mib: float
    file_mib: float

    @property
    def line(self) -> str:
        """A row of the table."""
        return (
            f"| {self.database} | {self.file_format} | {self.rows:,} | {self.seconds:.1f} | {self.rows / self.seconds:,.0f} "
            f"| {self.peak_mib:.0f} | {self.file_mib:.0f} |"
        )


def run(count: int, kinds: Sequence[str], folder: Path, server: PostgresServer, results: Path) -> int:
    """Measure, print and keep; fails when an export missed a row or took too much memory."""
    measured = []
    for kind in kinds:
        url = fresh_sqlite(folder, "exports") if kind == "sqlite" else server.create_database("exports")
        print(f"loading {count:,} coupons on {kind}", flush=True)
        installation = installed(url, folder, SIZE)
        fill(installation.couponry, installation.org_id, SIZE, count - SIZE.coupons, time.time_ns() // 1_000_000)
        installation.couponry.settle()
        for file_format in FileFormat:
            one = _measured(installation, kind, file_format)
            print(one.line, flush=True)
            measured.append(one)
    _keep(count, measured, results)
    return 0 if all(one.rows == count and one.peak_mib <= MEMORY_MIB_MAX for one in measured) else 1


def _measured(installation: Installation, kind: str, file_format: FileFormat) -> Measured:
    couponry, org_id = installation.couponry, installation.org_id
    files = installation.folder / f"files-{kind}"
    with closing(Database(couponry.database_url)) as database, _working(couponry, files) as pid:
        start = time.monotonic()
        request = ExportRequest(what=What.COUPONS, file_format=file_format)
        with database.writing() as tx:
            draft = Draft(kind=JobKind.EXPORT, series_id=None, request=request)
            job_id = create_job(tx, org_id, draft, time.time_ns() // 1_000_000)
        while (job := _read(database, org_id, job_id)).state not in ENDED:
            time.sleep(POLL_S)
        seconds = time.monotonic() - start
        peak_mib = _peak_mib(pid)
    if job.state is not JobState.FINISHED:
        raise RuntimeError(f"the export ended as {job.state}: {job.problem}\n{couponry.log.read_text()[-4000:]}")
    file = job.file(FileRole.RESULT)
    assert file is not None, "an export has a file, even if it is empty"
    return Measured(kind, file_format, job.done, seconds, peak_mib, file.size_bytes / 2**20)


def _read(database: Database, org_id: int, job_id: int) -> Job:
    with database.reading() as tx:
        job = read_job(tx, org_id, job_id)
    assert job is not None
    return job


@contextmanager
def _working(couponry: Couponry, files: Path) -> Iterator[int]:
    """A fresh worker; its process."""
    command = [str(Path(sys.executable).with_name("couponry")), "worker"]
    environment = {**couponry.environment, "COUPONRY_FILES_DIR": str(files)}
    with couponry.log.open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _peak_mib(pid: int) -> float:
    found = re.search(r"^VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def _keep(count: int, measured: Sequence[Measured], results: Path) -> None:
    about = {"machine": machine(), "versions": versions(postgresql_binary("postgres"))}
    command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    page = "\n".join(
        (
            "# Export of coupons",
            "",
            f"`{command}`: every coupon of an org with its customer, by a worker of its own; from the job's making to its end.",
            "",
            *(f"- {name}: {value}" for part in about.values() for name, value in part.items()),
            "",
            "| database | format | rows | seconds | rows/s | worker's peak MiB | file MiB |",
            "|---|---|---|---|---|---|---|",
            *(one.line for one in measured),
            "",
        )
    )
    print(page)
    if count < KEPT_COUPONS_MIN:
        return
    name = f"{dt.datetime.now(tz=dt.UTC).date().isoformat()}-{short_name()}-export"
    (results / f"{name}.md").write_text(page)
    whole = {**about, "command": command, "exports": [asdict(one) for one in measured]}
    (results / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n")
