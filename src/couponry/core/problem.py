"""Why something could not be made or changed: a value, not an exception. The code is the contract's number, or a word of ours."""

from msgspec import Struct


class Problem(Struct, frozen=True):
    """A refusal of an administrative act. The message is the wire's own; `detail` says what exactly is wrong, to a person."""

    code: int | str
    message: str
    detail: str = ""

    @property
    def text(self) -> str:
        """Both, for where a person reads."""
        return f"{self.message}: {self.detail}" if self.detail else self.message
