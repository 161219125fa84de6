"""When a target is left alone, by a clock that stands still until told to go on."""

from couponry.core.limits import (
    HOOK_CONNECTIONS_PER_TARGET_MAX,
    HOOK_FAILURES_MAX,
    HOOK_OPEN_MS,
    HOOK_TARGETS_MAX,
    HOOK_WAITERS_PER_TARGET_MAX,
)
from couponry.outbound.circuits import Circuit, Circuits


class Clock:
    ms = 1_000

    def __call__(self) -> int:
        return self.ms


def go(circuit: Circuit, *, is_well: bool | None) -> bool:
    """Whether a request went ahead, which then ended so."""
    if not circuit.enter():
        return False
    may = circuit.begin()
    if may:
        circuit.end(is_well=is_well)
    circuit.leave()
    return may


def opened(clock: Clock) -> Circuit:
    circuit = Circuit(clock)
    for _ in range(HOOK_FAILURES_MAX):
        assert go(circuit, is_well=False)
    return circuit


def test_failures_in_a_row_open_it() -> None:
    circuit = Circuit(Clock())
    for _ in range(3):
        for _ in range(HOOK_FAILURES_MAX - 1):
            assert go(circuit, is_well=False)
        assert go(circuit, is_well=True)
    for _ in range(HOOK_FAILURES_MAX):
        assert go(circuit, is_well=False)
    assert not go(circuit, is_well=True)


def test_one_request_sees_whether_it_is_well() -> None:
    clock = Clock()
    circuit = opened(clock)
    clock.ms += HOOK_OPEN_MS - 1
    assert not circuit.enter()
    clock.ms += 1
    assert circuit.enter()
    assert circuit.begin()
    assert not circuit.enter()
    circuit.end(is_well=True)
    assert go(circuit, is_well=True)


def test_a_failed_look_opens_it_for_as_long_again() -> None:
    clock = Clock()
    circuit = opened(clock)
    clock.ms += HOOK_OPEN_MS
    assert go(circuit, is_well=False)
    clock.ms += HOOK_OPEN_MS - 1
    assert not go(circuit, is_well=True)
    clock.ms += 1
    assert go(circuit, is_well=True)


def test_a_look_whose_caller_went_away_leaves_room_for_another() -> None:
    clock = Clock()
    circuit = opened(clock)
    clock.ms += HOOK_OPEN_MS
    assert go(circuit, is_well=None)
    assert go(circuit, is_well=True)
    assert not circuit.is_open


def test_who_waited_while_it_opened_does_not_go_ahead() -> None:
    circuit = Circuit(Clock())
    assert circuit.enter()
    for _ in range(HOOK_FAILURES_MAX):
        go(circuit, is_well=False)
    assert not circuit.begin()


def test_the_queue_has_an_end() -> None:
    circuit = Circuit(Clock())
    for _ in range(HOOK_CONNECTIONS_PER_TARGET_MAX + HOOK_WAITERS_PER_TARGET_MAX):
        assert circuit.enter()
    assert not circuit.enter()
    circuit.leave()
    assert circuit.enter()


def test_a_circuit_is_an_orgs_own_and_a_urls() -> None:
    circuits = Circuits(Clock())
    first = circuits.of(1, "http://a")
    assert circuits.of(1, "http://a") is first
    assert circuits.of(2, "http://a") is not first
    assert circuits.of(1, "http://b") is not first


def test_those_used_longest_ago_are_forgotten() -> None:
    circuits = Circuits(Clock())
    kept, forgotten = circuits.of(1, "kept"), circuits.of(1, "forgotten")
    circuits.of(1, "kept")
    for number in range(HOOK_TARGETS_MAX - 1):
        circuits.of(2, str(number))
    assert circuits.of(1, "kept") is kept
    assert circuits.of(1, "forgotten") is not forgotten
