"""Jobs by a worker of its own, each from its making to its end: rows a second, and the most memory that the worker ever had."""

import datetime as dt
import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.installation import Installation
from bench.machine import machine, short_name, versions
from bench.server import Couponry, stop
from couponry.core.jobs import ENDED, Job, JobState
from couponry.store.engine import Database
from couponry.store.jobs import Draft, create_job, read_job
from tests.databases import postgresql_binary

KEPT_ROWS_MIN: Final = 1_000_000
MEMORY_MIB_MAX: Final = 300
POLL_S: Final = 0.2


@dataclass(frozen=True)
class Measured:
    """One job. `expected` are the rows that it was to do well."""

    what: str
    database: str
    rows: int
    expected: int
    seconds: float
    peak_mib: float
    file_mib: float
    complaint: str = ""

    @property
    def line(self) -> str:
        """A row of the table."""
        return (
            f"| {self.what} | {self.database} | {self.rows:,} | {self.seconds:.1f} | {self.rows / self.seconds:,.0f} "
            f"| {self.peak_mib:.0f} | {self.file_mib:,.0f} |"
        )

    @property
    def is_well(self) -> bool:
        """Whether nothing is missing, and it took no more memory than it may."""
        return self.rows == self.expected and self.peak_mib <= MEMORY_MIB_MAX and not self.complaint


def measured(installation: Installation, database: str, what: str, draft: Draft, expected: int) -> Measured:
    """Have a fresh worker do the job."""
    couponry, org_id = installation.couponry, installation.org_id
    files = installation.folder / f"files-{database}"
    with closing(Database(couponry.database_url)) as opened, working(couponry, files) as pid:
        start = time.monotonic()
        with opened.writing() as tx:
            job_id = create_job(tx, org_id, draft, time.time_ns() // 1_000_000)
        job = awaited(opened, org_id, job_id)
        seconds = time.monotonic() - start
        peak_mib = peak_mib_of(pid)
    if job.state is not JobState.FINISHED:
        raise RuntimeError(f"{what} ended as {job.state}: {job.problem}\n{couponry.log.read_text()[-4000:]}")
    file_mib = sum(file.size_bytes for file in job.files) / 2**20
    one = Measured(what, database, job.ok, expected, seconds, peak_mib, file_mib)
    print(one.line, flush=True)
    return one


def awaited(database: Database, org_id: int, job_id: int) -> Job:
    """The job once it has ended."""
    while True:
        with database.reading() as tx:
            job = read_job(tx, org_id, job_id)
        assert job is not None
        if job.state in ENDED:
            return job
        time.sleep(POLL_S)


@contextmanager
def working(couponry: Couponry, files: Path) -> Iterator[int]:
    """A fresh worker; its process."""
    command = [str(Path(sys.executable).with_name("couponry")), "worker"]
    environment = {**couponry.environment, "COUPONRY_FILES_DIR": str(files)}
    with couponry.log.open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process.pid
    finally:
        stop(process)


def peak_mib_of(pid: int) -> float:
    """The most memory that a process ever had."""
    found = re.search(r"^VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def keep(jobs: Sequence[Measured], settings: str, results: Path) -> int:
    """Print the page, and write it where results are committed if there was enough to do; 1 if something went wrong."""
    about = {"machine": machine(), "versions": {**versions(postgresql_binary("postgres")), "postgresql settings": settings}}
    command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    page = "\n".join(
        (
            "# Bulk work",
            "",
            f"`{command}`: each job by a worker of its own, from its making to its end.",
            "",
            *(f"- {name}: {value}" for part in about.values() for name, value in part.items()),
            "",
            "| job | database | rows | seconds | rows/s | worker's peak MiB | files MiB |",
            "|---|---|---|---|---|---|---|",
            *(one.line for one in jobs),
            "",
            *(f"- {one.what} on {one.database}: {one.complaint}" for one in jobs if one.complaint),
        )
    )
    print(page)
    if all(one.expected >= KEPT_ROWS_MIN for one in jobs):
        name = f"{dt.datetime.now(tz=dt.UTC).date().isoformat()}-{short_name()}-bulk"
        (results / f"{name}.md").write_text(page)
        whole = {**about, "command": command, "jobs": [asdict(one) for one in jobs]}
        (results / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n")
    return 0 if all(one.is_well for one in jobs) else 1
