"""Exchanges with old clients: recorded as text, played against the server, and compared as a client would compare them.

A recording is a file of exchanges, which are played in order against one shop:

    ### what it shows
    POST /v1.1/coupon/redeem.json
    Content-Type: application/json

    {"root": ...}
    --- 200
    Idempotency-Replayed: derived

    {"response": ...}

In an answer `{name}` stands for whatever number comes there first, and for the same one from then on, in requests too; `{*}` for
any text, also for a whole answer. JSON is compared as data, key order apart; XML to the letter, line breaks between elements
apart.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from tests.api.shop import Front

FOLDER: Final = Path(__file__).parent / "recorded"
_GAP: Final = re.compile(r"\{([a-z_]+|\*)\}")


class Exchange(NamedTuple):
    """One request and what was answered."""

    title: str
    method: str
    path: str
    headers: dict[str, str]
    body: str
    status: int
    answer_headers: dict[str, str]
    answer: str


def exchanges(path: Path) -> list[Exchange]:
    return [_exchange(part) for part in path.read_text().split("### ")[1:]]


def play(front: Front, recorded: list[Exchange], **known: str) -> None:
    """Send each request, and compare its answer. `known` are numbers that no answer has to tell first."""
    for one in recorded:
        body = _filled(one.body, known).encode()
        response = front.ask(one.method, _filled(one.path, known), content=body, headers=one.headers)
        assert response.status_code == one.status, (one.title, response.text)
        assert {name: response.headers.get(name) for name in one.answer_headers} == one.answer_headers, one.title
        if one.answer != "{*}":
            _compare(one, response, known)


def _exchange(text: str) -> Exchange:
    sent, _, received = text.partition("\n--- ")
    title, _, request = sent.partition("\n")
    start, headers, body = _parts(request)
    status, answer_headers, answer = _parts(received)
    method, _, path = start.partition(" ")
    return Exchange(title, method, path, headers, body, int(status), answer_headers, answer)


def _parts(message: str) -> tuple[str, dict[str, str], str]:
    head, _, body = message.partition("\n\n")
    start, *lines = head.splitlines()
    return start, dict(line.split(": ", 1) for line in lines), body.strip()


def _filled(text: str, known: dict[str, str]) -> str:
    return _GAP.sub(lambda gap: known[gap[1]], text)


def _compare(one: Exchange, response: httpx.Response, known: dict[str, str]) -> None:
    is_json = response.headers["content-type"].startswith("application/json")
    expected, found = (_plain(text, is_json=is_json) for text in (one.answer, response.text))
    match = re.fullmatch("".join(_pattern(expected, known)), found)
    assert match, f"{one.title}\nexpected {expected}\nfound    {found}"
    known |= match.groupdict()


def _pattern(expected: str, known: dict[str, str]) -> Iterator[str]:
    """Literal texts and gaps take turns."""
    seen = set()
    for at, part in enumerate(_GAP.split(expected)):
        if at % 2 == 0 or part in known:
            yield re.escape(known[part] if at % 2 else part)
        elif part == "*":
            yield ".*?"
        else:
            yield f"(?P={part})" if part in seen else f"(?P<{part}>[0-9]+)"
            seen.add(part)


def _plain(text: str, *, is_json: bool) -> str:
    return json.dumps(json.loads(text), sort_keys=True) if is_json else re.sub(r">\s+<", "><", text.strip())
