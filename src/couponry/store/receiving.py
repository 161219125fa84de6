"""Files that come in as forms (`multipart/form-data`), whatever the order of the parts: straight to the disk, in constant memory.

Nothing that a sender calls anything becomes part of a path. What is not kept is gone at the end, whichever way it ends.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, Final

import falcon
import falcon.asgi
from falcon.asgi.multipart import BodyPart, MultipartForm
from falcon.asgi.reader import BufferedReader
from falcon.media.multipart import MultipartFormHandler, MultipartParseOptions
from msgspec import Struct

from couponry.core.limits import (
    NAME_CHARS_MAX,
    REQUEST_BODY_BYTES_MAX,
    UPLOAD_BLOCK_BYTES,
    UPLOAD_BYTES_MAX,
    UPLOAD_FIELD_BYTES_MAX,
    UPLOAD_PART_HEADERS_BYTES_MAX,
    UPLOAD_PARTS_MAX,
    UPLOAD_READ_MS_MAX,
)
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store.folder import Folder

FILE: Final = "file"
_UNNAMED: Final = "file.csv"
# What stands around the file in its form is no larger than any other body may be.
_FORM_BYTES_MAX: Final = UPLOAD_BYTES_MAX + REQUEST_BODY_BYTES_MAX


class Received(Struct, frozen=True):
    """A file that lies in the folder under a name that only this request knows, and the form's other fields that were asked for.

    `sent_name` is what its sender calls it: printable and bounded, to be shown and never to be used as a path.
    """

    path: Path
    sent_name: str
    size_bytes: int
    fields: Mapping[str, str]


class _TooLargeError(Exception):
    """More than may come in at once."""


class _FormError(Exception):
    """A form that cannot be taken; the message says why."""


@asynccontextmanager
async def received(
    request: falcon.asgi.Request, folder: Folder, org_id: int, fields: Sequence[str]
) -> AsyncIterator[Received | Problem | Code]:
    """What the form of this request holds: its part `file`, and those of these fields that it has, without surrounding blanks.

    A Problem (400) when it is no such form, BODY_TOO_LARGE when it is over the limit. Whoever wants the file hands it to
    `store.keeping.kept` inside; at the end it is removed if it was not taken.
    """
    file, path = await asyncio.to_thread(folder.receive, org_id)
    try:
        with file:
            taken = await _taken(request, file, fields)
        yield taken if isinstance(taken, Code | Problem) else Received(path, *taken)
    finally:
        path.unlink(missing_ok=True)


def bad(detail: str) -> Problem:
    """400, and what exactly is wrong."""
    return Problem(Code.MALFORMED.number, "Incorrect or invalid input", detail)


async def _taken(
    request: falcon.asgi.Request, file: BinaryIO, names: Sequence[str]
) -> tuple[str, int, dict[str, str]] | Problem | Code:
    """The file's name and size and the fields; the file itself is written."""
    if (request.content_length or 0) > _FORM_BYTES_MAX:
        return Code.BODY_TOO_LARGE
    try:
        async with asyncio.timeout(UPLOAD_READ_MS_MAX / 1000):
            return await _read(await _form(request), file, names)
    except _TooLargeError:
        return Code.BODY_TOO_LARGE
    except TimeoutError:
        return bad("the file took too long to come in")
    except _FormError as error:
        return bad(str(error))
    except falcon.HTTPError as error:  # the form's, from Falcon's parser
        return bad(error.description or "the form cannot be read")


async def _form(request: falcon.asgi.Request) -> MultipartForm:
    content_type = request.content_type or ""
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise _FormError("the body is not multipart/form-data")
    options = MultipartParseOptions()
    options.max_body_part_count = UPLOAD_PARTS_MAX
    options.max_body_part_headers_size = UPLOAD_PART_HEADERS_BYTES_MAX
    options.max_body_part_buffer_size = UPLOAD_FIELD_BYTES_MAX
    stream = BufferedReader(_bounded(request), UPLOAD_BLOCK_BYTES)
    return await MultipartFormHandler(options).deserialize_async(stream, content_type.strip(), None)


async def _bounded(request: falcon.asgi.Request) -> AsyncIterator[bytes]:
    """The body; a sender that names no length is stopped at the limit."""
    size = 0
    async for block in request.stream:
        size += len(block)
        if size > _FORM_BYTES_MAX:
            raise _TooLargeError
        yield block


async def _read(form: MultipartForm, file: BinaryIO, names: Sequence[str]) -> tuple[str, int, dict[str, str]]:
    sent_name, size, fields = "", -1, dict[str, str]()
    async for part in form:
        name, filename = _named(part)
        if name in fields or (name == FILE and size >= 0):
            raise _FormError(f"the part {name} comes twice")
        if name == FILE:
            sent_name, size = _shown(filename), await _written(part, file)
        elif name in names:
            fields[name] = await _text(part, name)
    if size < 0:
        raise _FormError(f"the part {FILE} is missing")
    return sent_name, size, fields


def _named(part: BodyPart) -> tuple[str, str]:
    """What the part is called, and the file in it."""
    try:
        return part.name or "", part.filename or ""
    except UnicodeDecodeError as error:
        raise _FormError("the name of a part is not UTF-8 text") from error


def _shown(filename: str) -> str:
    text = "".join(character for character in filename if character.isprintable()).strip()
    return text[:NAME_CHARS_MAX].rstrip() or _UNNAMED


async def _written(part: BodyPart, file: BinaryIO) -> int:
    """How large the part is, which is in the file from now on. A disk that is slow holds up nobody else."""
    size = 0
    async for block in part.stream:
        size += len(block)
        if size > UPLOAD_BYTES_MAX:
            raise _TooLargeError
        await asyncio.to_thread(file.write, block)
    return size


async def _text(part: BodyPart, name: str) -> str:
    try:
        return (await part.get_data()).decode().strip()
    except UnicodeDecodeError as error:
        raise _FormError(f"the part {name} is not UTF-8 text") from error
