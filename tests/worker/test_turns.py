"""Whose chunk is next."""

import time
from threading import Thread

from couponry.worker.turns import Turns


def test_a_latecomer_gets_its_turn() -> None:
    """Others who come back at once do not overtake it."""
    turns = Turns(2)
    seen: list[str] = []

    def work(name: str, count: int) -> None:
        for _ in range(count):
            with turns.turn():
                seen.append(name)
                time.sleep(0.002)

    busy = [Thread(target=work, args=(name, 50)) for name in ("a", "b", "c")]
    late = Thread(target=work, args=("late", 5))
    for thread in (*busy, late):
        thread.start()
    late.join()
    assert len(seen) <= 40
    for thread in busy:
        thread.join()
    assert len(seen) == 155
    turns.end(0)
