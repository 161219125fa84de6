"""Scenes: what is different from a world in which Mira's coupon is redeemable, and what a till is then answered."""

from copy import deepcopy
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

from msgspec.structs import replace

from couponry.core.commands import Item
from couponry.core.plan import Answer, CheckAnswer, IssueAnswer
from couponry.core.state import State
from couponry.core.status import Code
from tests.core.world import CODE, answer, ask, check, check_answer, coupon, customer, issue, org, place, redeem, series, state

Fields = dict[str, Any]
Form = Literal["one", "each", "several"]
REDEEM_ONLY: Final = ("key", "hook_accepted")
AS_CHECKED: Final = {Code.PROCESSED: Code.REDEEMABLE, Code.UNKNOWN_COUPON: Code.UNKNOWN_COUPON_CHECKED}
"""The codes that a check says otherwise."""
AS_ISSUED: Final[dict[Form, dict[Code, Code]]] = {
    "one": {},
    "each": {Code.UNKNOWN_SERIES: Code.UNKNOWN_SERIES_NAMED},
    "several": {Code.SERIES_EXPIRED: Code.COUPON_EXPIRED, Code.CUSTOMER_HAS_ENOUGH: Code.CUT_BY_CUSTOMER},
}
"""The codes that an issue says otherwise in each of its forms (status-codes 3-4)."""
FRESH: Final = ("FRESH1", "FRESH2", "FRESH3")
"""Codes that nobody knows yet, of series 1."""


@dataclass(frozen=True)
class Scene:
    """Fields of the series' terms, the coupon, the customer, the org's settings, the till's place, the item, the request and the
    state that differ from the world's. `unreadable` terms are 788.
    """

    terms: Fields = field(default_factory=dict)
    coupon: Fields = field(default_factory=dict)
    customer: Fields = field(default_factory=dict)
    settings: Fields = field(default_factory=dict)
    place: Fields = field(default_factory=dict)
    item: Fields = field(default_factory=dict)
    claim: Fields = field(default_factory=dict)
    state: Fields = field(default_factory=dict)
    unreadable: Fields = field(default_factory=dict)

    def __or__(self, other: "Scene") -> "Scene":
        """Both at once; where they contradict each other, the other."""
        return Scene(**{each.name: getattr(self, each.name) | getattr(other, each.name) for each in fields(self)})

    def contradicts(self, other: "Scene") -> bool:
        """Whether the two give one field two values."""
        pairs = [(getattr(self, each.name), getattr(other, each.name)) for each in fields(self)]
        return any(mine[name] != its[name] for mine, its in pairs for name in mine.keys() & its.keys())

    def world(self) -> State:
        world = state(
            [coupon(**self.coupon)],
            [series(**self.terms)],
            [customer(1, **self.customer), customer(2)],
            **{"org": org(**self.settings), "fresh_codes": {1: list(FRESH)}} | deepcopy(self.state),
        )
        if self.unreadable:
            world.series[1] = None
        return world

    def request(self) -> Fields:
        item = replace(Item(code=CODE), **self.item)
        return {"items": (item,), "place": place(**self.place)} | self.claim

    def redeemed(self) -> Answer:
        return answer(self.world(), redeem(**self.request()))

    def checked(self) -> CheckAnswer:
        request = {name: value for name, value in self.request().items() if name not in REDEEM_ONLY}
        return check_answer(self.world(), check(**request))

    def issued(self, form: Form = "one") -> IssueAnswer:
        return ask(IssueAnswer, self.world(), issue(**{"place": place(**self.place), "form": form} | self.claim))

    def issue_code(self, form: Form) -> Code:
        """What the first series is answered, or the request when it is refused as a whole."""
        issued = self.issued(form)
        return issued.items[0].status if issued.items else issued.status

    def code(self, ask: Literal["redeem", "check"]) -> Code:
        """What the first coupon is answered, or the request when it is refused as a whole."""
        if ask == "redeem":
            redeemed = self.redeemed()
            return redeemed.items[0].status if redeemed.items else redeemed.status
        checked = self.checked()
        return checked.items[0].outcome.status if checked.items else checked.status
