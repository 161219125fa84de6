"""The load generator `load.c`: compiling it, writing request files for it, running it.

It is ours because it must send a different body each time, verify nothing twice, and cost next to nothing on two cores that it
shares with the server; no package ships such a tool.
"""

import json
import os
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

SOURCE: Final = Path(__file__).with_name("load.c")
BUILD: Final = Path(__file__).with_name("build")
CFLAGS: Final = ("-O2", "-std=c11", "-Wall", "-Wextra", "-Werror")
NORMAL_CODE: Final = 700


class LoadCounts(Struct, frozen=True):
    """Answers by HTTP status and by the first number after the label; `unnumbered` had none."""

    answers: int
    statuses: dict[int, int]
    numbers: dict[int, int]
    unnumbered: int


class LoadResult(Struct, frozen=True, rename="camel"):
    """What `load` prints. `all` is the whole run, `window` and the figures only what was answered inside the window."""

    all: LoadCounts
    window: LoadCounts
    sent: int
    closed: int
    timed_out: int
    malformed: int
    connect_failures: int
    ran_out: bool
    seconds: float
    per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float

    @property
    def unanswered(self) -> int:
        """Requests of which nobody knows whether they were carried out."""
        return self.sent - self.all.answers


def compiled(folder: Path = BUILD) -> Path:
    """The generator's program, compiled unless it is newer than its source."""
    program = folder / "load"
    if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([os.environ.get("CC", "cc"), *CFLAGS, "-o", str(program), str(SOURCE)], check=True)
    return program


def http_request(method: str, target: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def write_requests(path: Path, requests: Iterable[bytes]) -> None:
    """A request file: each request after its length."""
    with path.open("wb") as out:
        out.writelines(struct.pack("<I", len(request)) + request for request in requests)


def run_load(program: Path, port: int, requests: Path, connections: int, *options: str) -> LoadResult:
    """Send the requests to 127.0.0.1; the options are those of `load.c`."""
    command = [str(program), "--port", str(port), "--requests", str(requests), "--connections", str(connections), *options]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    # Counts by number have their numbers as JSON keys, which only the lax mode turns into numbers.
    return msgspec.convert(json.loads(output), LoadResult, strict=False)
