"""The table of status codes: published as it is, complete, and tested."""

import re
from pathlib import Path
from typing import Final

from couponry.core.status import SERVICE_FAILURES, Code
from tests.house.codes_doc import PAGE, document
from tests.house.sources import ROOT

# Every number of the contract's tables, but for those that are never answered (408, 461).
NUMBERS: Final = {
    *(200, 201, 400, 401, 402, 403, 404, 405, 406, 407, 413, 415, 429, 500, 521),
    *(1060, 1061, 1062, 1064, 4000, 4001, 91021),
    *(108, 510, 629, 633, 660, 661, 677, 682, 683, 687, 690, 691, 695, 696, 1000),
    *(700, 701, 702, 703, 704, 705, 706, 707, 709, 710, 711, 712, 713, 714, 715, 716, 718, 719),
    *(720, 721, 722, 723, 724, 725, 726, 728, 729, 730, 731, 732, 733, 735, 736, 738, 739),
    *(740, 742, 744, 745, 746, 747, 748, 749, 750, 751, 752, 753, 754, 755, 756, 759, 761, 762, 777, 780, 781),
    *(5001, 5002, 5004, 5005, 5006),
    *(600, 601, 602, 603, 604, 605, 606, 9001, 1012, 3200, 3202),
    *(640, 642, 1001, 1002, 1003, 1007, 1014, 1016, 1032, 1033, 8011, 8013, 8015, 8069),
    *range(786, 800),
}
TOPICS: Final = {"v1.1"}
MENTION: Final = re.compile(r"\bCode\.([A-Z][A-Z0-9_]+)\b")
NUMBER: Final = re.compile(r"(?<![\w.])[0-9]{3,5}(?![\w.])")
HERE: Final = Path(__file__)


def test_page_is_current() -> None:
    """Prevents a page that lists codes as they once were."""
    assert PAGE.read_text() == document(), "run `make docs`"


def test_table_is_complete() -> None:
    """Prevents a code of the contract that nobody can answer, and one that the contract does not know."""
    assert {code.number for code in Code} == NUMBERS


def test_every_code_says_what_it_means() -> None:
    assert {code.topic for code in Code} - {""} == TOPICS
    assert not [code.name for code in Code if not (code.message and code.on and code.when)]
    assert not [code.name for code in Code if set(code.on.split()) - set("IMRQUAKXSGNVFCTOE*")]


def test_retryable_codes_are_service_failures() -> None:
    """Prevents a client from repeating what will be refused again."""
    assert all(code in SERVICE_FAILURES for code in Code if code.is_retryable)
    broken = {code.number for code in SERVICE_FAILURES if not code.is_retryable}
    assert broken == {730, 788, 795, 799}
    assert {code.number for code in SERVICE_FAILURES} == {521, 730, 748, *range(786, 800)}


def test_texts_of_v11() -> None:
    assert Code.RESENT.v11_message == "Coupon Resent"
    assert Code.OVERLOADED.v11_message == "Unable to process coupon. Please try again later"
    assert Code.ORG_MISCONFIGURED.v11_message == "Configuration is invalid. Please report to Capillary Support"
    assert Code.REVOKED.v11_message == Code.REVOKED.message


def test_every_code_of_today_has_a_test() -> None:
    """Prevents a code from losing its last test: by its name anywhere, or by its number where answers are read off the wire."""
    named: set[str] = set()
    numbered: set[int] = set()
    for path in (ROOT / "tests").rglob("*.py"):
        if path.parent != HERE.parent:
            named |= set(MENTION.findall(path.read_text()))
        if path.parent.name not in ("core", "house"):
            numbered |= {int(number) for number in NUMBER.findall(path.read_text())}
    untested = {code.number for code in Code if not code.topic and code.name not in named and code.number not in numbered}
    assert not untested


def test_answered_codes_are_not_for_later() -> None:
    """Prevents a table that says later of what is answered today, and today of what nothing can reach."""
    spoken_of = {"status.py", "advice.py"}  # which answer nothing themselves
    sources = [path for path in (ROOT / "src" / "couponry").rglob("*.py") if path.name not in spoken_of]
    answered = {name for path in sources for name in MENTION.findall(path.read_text())}
    assert answered & Code.__members__.keys() == {code.name for code in Code if not code.topic}
