"""What a customer is known by is cut out of bodies, whatever stands in it, and nothing else is."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from couponry.core import hook_messages
from couponry.core.anonymity import anonymous
from couponry.core.events import Events
from couponry.core.telling import ToldCustomer
from tests.core.telling_world import COUPON, CUSTOMER, ORG, REDEMPTION, SECOND, cause, customer, facts, terms

TEXTS = st.text(st.sampled_from('a"\\{},:[]\n') | st.characters(codec="utf-8"), max_size=20)
KINDS = frozenset({"mobile", "email", "externalId", "cardnumber"})


def without(found: Any, name: str) -> Any:
    if isinstance(found, dict):
        return {key: without(value, name) for key, value in found.items() if key != name}
    return [without(each, name) for each in found] if isinstance(found, list) else found


@given(TEXTS, TEXTS, TEXTS)
def test_events(mobile: str, external_id: str, description: str) -> None:
    who = customer(mobile=mobile, email=f'"instore":{{{mobile}}}', external_id=external_id)
    known = facts(customer_=who, terms_=terms(description=f'{description},"instore":{{"a":1}},"customer":{{"id":1}}'))
    events = Events(ORG, known)
    for told in (cause("CouponIssue", COUPON, SECOND), cause("CouponRedeem", REDEMPTION)):
        body = events.body(replace(told, identified_by=KINDS))
        assert body is not None
        assert '"instore":{' in body
        cut = anonymous(body)
        assert msgspec.json.decode(cut) == without(msgspec.json.decode(body), "instore")
        assert anonymous(cut) == cut == events.body(told)


@given(TEXTS, TEXTS, TEXTS)
def test_side_effects(mobile: str, external_id: str, number: str) -> None:
    who = customer(mobile=mobile, external_id=external_id)
    nobody = customer(mobile=None, email=None, external_id=None)
    like = facts().redemptions[REDEMPTION]
    bodies = []
    for told in (who, nobody):
        known = facts(redemptions={REDEMPTION: replace(like, transaction_number=f'{number}"customer":{{"id":1,"a":null}}')})
        known = replace(known, customers={CUSTOMER: ToldCustomer(told, None)})
        bodies.append(hook_messages.side_effects_left(ORG, cause("SideEffects", REDEMPTION), known))
    assert bodies[0]
    assert bodies[1]
    assert anonymous(bodies[0].decode()) == bodies[1].decode()


@pytest.mark.parametrize("body", ["", "{}", "no JSON", '{"customerIdentifiers":{"customerId":1}}'])
def test_what_names_nobody_stays(body: str) -> None:
    assert anonymous(body) == body
