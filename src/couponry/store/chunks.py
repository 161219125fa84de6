"""Work that is done in chunks, each in a transaction of its own, for as long as whoever asked may wait."""

import asyncio
from collections.abc import Callable
from functools import partial

from couponry.core.limits import CHUNKS_MS_MAX
from couponry.core.status import Code
from couponry.store.back_office import BackOffice
from couponry.store.delivery_log import Chunk
from couponry.store.engine import WriteTransaction


async def walked(office: BackOffice, step: Callable[..., Chunk], after_id: int = 0) -> Chunk | Code:
    """Go on after an id until the end, or until the time is over; how much was done in all, and where to go on."""
    loop, done = asyncio.get_running_loop(), 0
    ends_s, next_id = loop.time() + CHUNKS_MS_MAX / 1000, after_id
    while True:
        work: Callable[[WriteTransaction], Chunk] = partial(step, after_id=next_id)
        chunk = await office.write(work)
        if isinstance(chunk, Code):
            return chunk
        done += chunk.done
        if chunk.next_id is None or loop.time() > ends_s:
            return Chunk(done, chunk.next_id)
        next_id = chunk.next_id
