"""The README's examples are run, and answer what stands under them.

A `bash` block is what a reader types, the `text` or `json` block under it what is answered. Text is the beginning of what is
printed; JSON is a part of what is sent, a document or one per line. Only the port, ids and the database's address may differ.
"""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest

from tests.databases import PostgresServer, fresh_postgresql, fresh_sqlite
from tests.house.sources import ROOT, modules

README: Final = (ROOT / "README.md").read_text()
V11_PATH: Final = re.compile(r'"(/v1\.1/[a-z_/]+)"')
BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN_URL: Final = "http://127.0.0.1:8000"
DATABASE: Final = re.compile(r"(?<=COUPONRY_DATABASE_URL=)\S+")
SERVE: Final = re.compile(r"^couponry serve .*", re.MULTILINE)
IDS: Final = frozenset({"redemptionId", "id"})
LINES_MAX: Final = 120
WAIT_S: Final = 40


class Example(NamedTuple):
    """What is typed, and what is answered; `shown` is empty when the README shows nothing."""

    typed: str
    shown: str
    is_json: bool


def examples() -> list[Example]:
    blocks = [(found[1], found[2]) for found in BLOCK.finditer(README)]
    followers = [*blocks[1:], ("", "")]
    return [
        Example(typed, shown if kind != "bash" else "", kind == "json")
        for (language, typed), (kind, shown) in zip(blocks, followers, strict=True)
        if language == "bash"
    ]


def only(start: str) -> Example:
    (found,) = (example for example in examples() if example.typed.startswith(start))
    return found


def documents(text: str) -> list[Any]:
    """The JSON documents of a text, one after the other."""
    found, decoder = [], json.JSONDecoder()
    while text := text.strip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def differs(shown: Any, sent: Any, at: str = "answer") -> Iterator[str]:
    """Where what is shown is no part of what was sent. Of ids only the kind and the sign are compared."""
    if isinstance(shown, dict) and isinstance(sent, dict):
        for name, value in shown.items():
            if name not in sent:
                yield f"{at}.{name} is missing"
            elif name in IDS:
                if type(value) is not type(sent[name]) or (int(value) < 0) != (int(sent[name]) < 0):
                    yield f"{at}.{name} is {sent[name]!r}"
            else:
                yield from differs(value, sent[name], f"{at}.{name}")
    elif isinstance(shown, list) and isinstance(sent, list) and len(shown) == len(sent):
        for number, (value, other) in enumerate(zip(shown, sent, strict=True)):
            yield from differs(value, other, f"{at}[{number}]")
    elif shown != sent:
        yield f"{at} is {sent!r}, not {shown!r}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(**settings: str) -> dict[str, str]:
    """Like a reader's: nothing of Couponry is set, and commands come from this virtual environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COUPONRY_")}
    return {**kept, "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}", **settings}


@contextmanager
def running(script: str, port: int, folder: Path, **settings: str) -> Iterator[Path]:
    """A script whose last command serves at a port, once it answers; the file is what it prints."""
    printed = folder / "printed"
    with printed.open("wb") as out, (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-eu", "-c", script],
            cwd=ROOT,
            env=environment(**settings),
            stdout=out,
            stderr=log,
        )
    try:
        await_ready(process, port, folder / "log")
        yield printed
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(WAIT_S)
        finally:
            process.kill()


def await_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline_s, log.read_text()
        time.sleep(0.05)


def curl(command: str, url: str) -> Any:
    """Ask as curl would; not every machine that runs tests has it. Options that are not known here fail."""
    words = iter(shlex.split(command.replace(SHOWN_URL, url)))
    assert next(words) == "curl"
    target, asked = "", dict[str, Any]()
    for word in words:
        match word:
            case "-u":
                name, _, secret = next(words).partition(":")
                asked["auth"] = (name, secret)
            case "-H":
                name, _, value = next(words).partition(": ")
                asked["headers"] = {name: value}
            case "-d":
                asked["content"] = next(words)
            case _:
                assert word.startswith(url), word
                target = word
    return httpx.request("POST" if "content" in asked else "GET", target, **asked).json()


def test_demo_answers_as_shown(tmp_path: Path) -> None:
    """Prevents a first quarter of an hour spent on commands that do not work. What the server prints is what is shown."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    recipe = ["make", "--dry-run", "--no-print-directory", "--assume-old=.venv/runtime", f"PORT={port}", "serve"]
    script = subprocess.run(recipe, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert f"couponry serve --demo --port {port}" in script
    with running(script, port, tmp_path, COUPONRY_DATABASE_URL=fresh_sqlite(tmp_path)) as out:
        deadline_s = time.monotonic() + WAIT_S
        while "/v2/coupon/issue" not in (printed := out.read_text()):
            assert time.monotonic() < deadline_s, printed
            time.sleep(0.02)
        assert printed.startswith(only("make serve").shown.replace(SHOWN_URL, url))
        asked = [example for example in examples() if example.typed.startswith("curl ")]
        offered = [line for line in printed.splitlines() if line.startswith("curl ")]
        assert [example.typed.strip().replace(SHOWN_URL, url) for example in asked] == offered
        answer = {}
        for example in asked:
            (shown,), answer = documents(example.shown), curl(example.typed, url)
            assert list(differs(shown, answer)) == []
        assert f"{url}/demo/mailbox" in printed
        await_message(f"{url}/demo/mailbox", f"Hello Mira, thank you for coming. Ten off the next visit with {answer['code']}")


def await_message(mailbox: str, text: str) -> None:
    """Prevents a demo whose last command shows nothing: the server's worker makes a message of what was issued."""
    deadline_s = time.monotonic() + WAIT_S
    while text not in (page := httpx.get(mailbox).text):
        assert time.monotonic() < deadline_s, page
        time.sleep(0.1)


def test_postgresql_runs_as_shown(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """Prevents an installation guide that leads to no installation."""
    example, port = only(". .venv/bin/activate"), free_port()
    database_url = fresh_postgresql(postgres_server)
    script, changed = DATABASE.subn(database_url, example.typed)
    script, served = SERVE.subn(lambda found: f"exec {found[0]} --port {port}", script)
    assert (changed, served) == (1, 1)
    with running(script, port, tmp_path) as out:
        printed = documents(out.read_text())
        shown = documents(example.shown)
        assert len(printed) == len(shown)
        for one, other in zip(shown, printed, strict=True):
            assert list(differs(one, other)) == []
        # The till that was made gets in: what is wrong is that nobody is named, and not its password.
        till = ("till1", md5(b"123", usedforsecurity=False).hexdigest())
        asked = httpx.get(f"http://127.0.0.1:{port}/v2/coupon/is_redeemable?code=A", auth=till)
        assert asked.json()["redemptionStatus"]["code"] == 721
    postgres_server.drop_database(database_url)


def test_every_example_is_run() -> None:
    """Prevents the block that looks run and is not."""
    run_by_tests = ("make serve\n", "curl ", ". .venv/bin/activate\n")
    others = [example.typed for example in examples() if not example.typed.startswith(run_by_tests)]
    assert others in ([], ["make test\n"])  # which is what runs this
    assert {found[1] for found in BLOCK.finditer(README)} == {"bash", "text", "json"}
    targets = re.findall(r"`make (\w+)`", README)
    assert targets
    for target in targets:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_endpoints_are_those_that_are_served() -> None:
    """Prevents an endpoint that is offered and not there, and one that is there and kept from readers."""
    described = set(json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"])
    listed = re.findall(r"`(?:[A-Z]+ )?(/[^`]*)`", README.partition("## Endpoints")[2].partition("##")[0])
    families = [path.removesuffix("...") for path in listed]
    v11 = {found for path, _ in modules() if "/v1_1/" in path for found in V11_PATH.findall((ROOT / path).read_text())}
    assert not [path for path in described | v11 if not path.startswith(tuple(families))]
    assert not [path for path in families if not any(known.startswith(path) for known in described | v11)]


def test_readme_stays_short() -> None:
    """Prevents a page that nobody reads to its end."""
    assert len(README.splitlines()) <= LINES_MAX


@pytest.mark.parametrize(
    ("shown", "sent", "count"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, 0),
        ({"a": 1}, {"a": 2}, 1),
        ({"a": 1}, {}, 1),
        ({"id": 7}, {"id": 9}, 0),
        ({"id": 7}, {"id": -1}, 1),
        ({"id": "7"}, {"id": 7}, 1),
        ([{"a": 1}], [{"a": 1}, {}], 1),
        ([{"a": 1}], [{"a": 1, "b": 1}], 0),
    ],
)
def test_guard_sees(shown: Any, sent: Any, count: int) -> None:
    """Prevents a comparison that finds everything alike."""
    assert len(list(differs(shown, sent))) == count
