"""Why something could not be made or changed: a value, not an exception. The code is the contract's number, or a word of ours."""

from msgspec import Struct


class Problem(Struct, frozen=True):
    """A refusal of an administrative act, in words for whoever asked."""

    code: int | str
    message: str
