"""Forms as nobody means them: a clear 400 or 413, never a 5xx, and nothing left behind (upload 1)."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import pytest

from couponry.core.limits import UPLOAD_BYTES_MAX, UPLOAD_READ_MS_MAX
from couponry.store import receiving
from tests.api.holdings import series_id
from tests.api.shop import NOW_MS, Raw
from tests.api.upload.forms import BOTH, BOUNDARY, CODES, CODES_FORM, END, PATH, Sender, part

KIND: Final = part("customerIdentifier", b"NOT_TAGGED")
FILE: Final = part("file", CODES, "codes.csv")
GOOD: Final = KIND + FILE + END


def refused(answer: Raw, status: int = 400) -> str:
    """What it says."""
    told = msgspec.json.decode(answer.body)
    assert (answer.status, told["success"], told["status"]) == (status, False, status), told
    message: str = told["message"]
    return message


ORDERS: Final = (GOOD, FILE + KIND + END, b"prologue\r\n" + GOOD + b"epilogue", FILE + part("x", b"y" * 99) + KIND + END)


def test_any_order(sender: Sender) -> None:
    for body in ORDERS:
        assert sender.raw(body).status == 200, body
    assert [path.read_bytes() for path in sender.kept()] == [CODES] * len(ORDERS)


BROKEN: Final = {
    b"": "unexpected form structure",
    b"\0": "unexpected form structure",
    GOOD[: -len(END)]: "unexpected form structure",
    GOOD[:-20]: "unexpected form structure",
    KIND + FILE[:60]: "incomplete body part headers",
    END: "the part file is missing",
    KIND + END: "the part file is missing",
    KIND + KIND + FILE + END: "customerIdentifier comes twice",
    KIND + FILE + FILE + END: "the part file comes twice",
    KIND + part("x", b"") * 1_000 + FILE + END: "maximum number of form body parts exceeded",
    KIND + part("file", CODES, "x" * 50_000) + END: "incomplete body part headers",
    KIND + part("file", CODES, "\udcff") + END: "the name of a part is not UTF-8 text",
    part("customerIdentifier", b"\xff") + FILE + END: "the part customerIdentifier is not UTF-8 text",
    part("customerIdentifier", b"NOT_TAGGED\0") + FILE + END: "customerIdentifier is none of",
    KIND + FILE.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1) + END: "Content-Transfer-Encoding",
    KIND + FILE.replace(b'filename="codes.csv"', b"filename*=nosuch''x") + END: "invalid text or charset",
    KIND + FILE.replace(b'name="file"', b"name=") + END: "the part file is missing",
    KIND.replace(b"\r\n", b"\n") + FILE.replace(b"\r\n", b"\n") + END: "unexpected form structure",
}


def test_broken_forms(sender: Sender) -> None:
    for body, detail in BROKEN.items():
        assert detail in refused(sender.raw(body)), body[:200]
    assert (sender.jobs(), sender.kept()) == ([], [])


NO_FORMS: Final = (
    "application/json",
    "text/csv",
    "multipart/mixed; boundary=aXq7",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    f"multipart/form-data; boundary={'x' * 71}",
    "multipart/form-data; boundary=other",
    'multipart/form-data; boundary="aXq7',
    "multipart/form-data; boundary=é",
)


def test_not_such_a_form(sender: Sender) -> None:
    for content_type in NO_FORMS:
        message = refused(sender.raw(GOOD, content_type=content_type.encode().decode("latin-1")))
        assert message.startswith("Incorrect or invalid input: "), content_type
    assert (sender.jobs(), sender.kept()) == ([], [])


NAMES: Final = (
    ("../../etc/passwd", "../../etc/passwd", "passwd"),
    ("C:\\\\Users\\\\mira\\\\my codes (1).csv", "C:\\Users\\mira\\my codes (1).csv", "my_codes_1"),
    ("a\0b\tc.csv", "abc.csv", "abc"),
    ('a\\"b<script>.csv', 'a"b<script>.csv', "a_b_script"),
    ("x" * 10_000 + ".csv", "x" * 255, "x" * 100),
    ("..", "..", "file"),
    ("/", "/", "file"),
    (".csv", ".csv", "csv"),
    ("codes.tar.gz", "codes.tar.gz", "codes.tar"),
    ("कोड.csv", "कोड.csv", "कोड"),
    ("\u202egnp.csv", "gnp.csv", "gnp"),
    (" ", "file.csv", "file"),
    ("", "file.csv", "file"),
)


def test_names(sender: Sender) -> None:
    """Shown as they are, as far as they can be; never part of a path."""
    for sent, shown, stem in NAMES:
        answer = sender.raw(KIND + part("file", CODES, sent) + END)
        assert answer.status == 200, answer.body
        result = msgspec.json.decode(answer.body)["result"]
        (told,) = result["uploadJobStatuses"]
        assert told["uploadedFileName"] == shown
        assert told["uploadedFileUrl"] == result["fileName"] == f"{stem}_{NOW_MS}_{result['couponSeriesId']}.csv"
    assert {path.name for path in sender.kept()} == {f"{number}.csv" for number in range(1, len(NAMES) + 1)}


def test_too_large(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what the sender says, by what comes, and by the file alone."""
    length = {"content-length": str(UPLOAD_BYTES_MAX + 1024 * 1024 + 1)}
    assert refused(sender.raw(GOOD, length), 413) == "Request body too large"
    monkeypatch.setattr(receiving, "UPLOAD_BYTES_MAX", len(CODES))
    assert sender.raw(GOOD).status == 200
    assert refused(sender.raw(KIND + part("file", CODES + b"\n", "codes.csv") + END), 413)
    monkeypatch.setattr(receiving, "_FORM_BYTES_MAX", len(GOOD))
    status, _ = streamed(sender, [GOOD[:50], GOOD[50:]])
    assert status == 200
    status, body = streamed(sender, [GOOD, b" "])
    assert (status, msgspec.json.decode(body)["status"]) == (413, 413)
    assert len(sender.kept()) == 2


def test_large_file_in_small_pieces(sender: Sender) -> None:
    """Whatever falls between two pieces, the bytes are the same."""
    rows = b"code\r\n" + b"".join(b"C-%06d\r\n" % number for number in range(100_000))
    form = KIND + part("file", rows, "codes.csv") + END
    size = 7_919
    assert streamed(sender, [form[start : start + size] for start in range(0, len(form), size)])[0] == 200
    (path,) = sender.kept()
    assert path.read_bytes() == rows


def test_sender_who_goes_away(sender: Sender) -> None:
    """In the middle of a file; and one who is given up because nothing more comes, or never the end."""
    half = GOOD[:-30]
    assert streamed(sender, [half])[0] == 400
    assert sender.kept() == []

    async def given_up() -> None:
        task = asyncio.ensure_future(_exchange(sender, [half], waits=True))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    sender.front.run(given_up())
    assert (sender.jobs(), sender.kept()) == ([], [])


def test_sender_who_never_ends(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "UPLOAD_READ_MS_MAX", 100)
    status, body = sender.front.run(_exchange(sender, [GOOD[:-30]], waits=True))
    assert (status, "took too long" in msgspec.json.decode(body)["message"]) == (400, True)
    assert sender.kept() == []


def test_what_a_crash_has_left(sender: Sender) -> None:
    """Goes with the next upload, once nobody can still be sending it."""
    sender.upload()
    incoming = sender.files / "incoming" / str(sender.shop.org_id)
    old, new = incoming / "old", incoming / "new"
    old.touch()
    new.touch()
    long_ago = time.time() - 3 * UPLOAD_READ_MS_MAX / 1000
    os.utime(old, (long_ago, long_ago))
    sender.upload()
    assert (old.exists(), new.exists()) == (False, True)


def test_file_goes_with_its_transaction(sender: Sender) -> None:
    """No job, no file."""
    with sender.shop.database.writing() as tx:
        tx.connection.exec_driver_sql("ALTER TABLE job RENAME TO job_gone")
    answer = sender.upload(body=BOTH, form={**CODES_FORM, "customerIdentifier": "MOBILE"})
    assert (answer.status_code, answer.json()["success"], answer.json()["status"]) == (500, False, 500)
    assert sender.kept() == []


def streamed(sender: Sender, pieces: Sequence[bytes]) -> tuple[int, bytes]:
    """A form that comes in pieces, of a length that nobody has named, from somebody who then goes away."""
    return sender.front.run(_exchange(sender, pieces))


async def _exchange(sender: Sender, pieces: Sequence[bytes], *, waits: bool = False) -> tuple[int, bytes]:
    sent: list[dict[str, Any]] = []
    coming = iter([{"type": "http.request", "body": piece, "more_body": True} for piece in pieces])

    async def receive() -> Mapping[str, Any]:
        message = next(coming, None)
        if message is None and waits:
            await asyncio.sleep(3600)
        return message or {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    path = f"{PATH}file/{series_id(sender.shop, 'POOL')}"
    scope = sender.scope(path, [(b"content-type", f"multipart/form-data; boundary={BOUNDARY}".encode())])
    await sender.front.app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])
