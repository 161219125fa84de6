"""Writes docs/CODES.md from the table of status codes: `python -m tests.house.codes_doc`, or `make docs`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from couponry.core.status import Code
from tests.house.sources import ROOT

PAGE: Final = ROOT / "docs" / "CODES.md"
INTRODUCTION: Final = """# Status codes

Made by `make docs` from `couponry.core.status`; a test holds the two together.

Of two rules of a redeem that fail, the one listed first is the answer. *On* says where a code is answered: **I** issue,
**M** issue multiple, **R** redeem, **Q** redeemability, **U** update and **A** reactivate a redemption, **K** revoke,
**X** expiry, **S** series, **G** coupon, **N** resend, **V** customer coupons, **F** upload, **C** customers, **T** their
transactions, **O** validation codes, **E** stores and tills, **\\*** anywhere. *Retry* marks codes that come with
`Retry-After: 1`: the service failed, nothing was done, and the same request may succeed a moment later.
Where v1.1 has a text of its own, it follows.

408, 461, and 404 for a coupon are in the public tables and are never answered here.
"""
HEADING: Final = "| code | message | on | when | retry |\n|---|---|---|---|---|"


def document() -> str:
    """The page: what can be answered today, then what waits for each topic."""
    topics = dict.fromkeys(code.topic for code in Code if code.topic)
    parts = [INTRODUCTION, "## Answered today\n", *table(code for code in Code if not code.topic)]
    for topic in topics:
        parts += [f"\n## Later: {topic}\n", *table(code for code in Code if code.topic == topic)]
    return "\n".join(parts) + "\n"


def table(codes: Iterable[Code]) -> Iterator[str]:
    yield HEADING
    for code in codes:
        text = f"`{code.message}`" + (f"; v1.1: `{code.v11_message}`" if code.v11_message != code.message else "")
        cells = (str(code.number), text, code.on.replace("*", r"\*"), code.when, "yes" if code.is_retryable else "")
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def write(page: Path = PAGE) -> None:
    page.write_text(document())


if __name__ == "__main__":
    write()
