"""What a history is made of: the shop that it begins with, and what is asked in it."""

from typing import Final

from hypothesis import strategies as st

from couponry.core.model import Handling

# Code, series, owner.
COUPONS: Final = (
    ("A", 1, 1),
    ("B", 1, 1),
    ("C", 1, 2),
    ("D", 1, None),
    ("E", 2, 1),
    ("F", 2, 2),
    ("S", 3, None),
    ("T", 3, None),
    ("X", 4, None),
    ("Y", 4, None),
    ("P", 5, None),
    ("Q", 5, None),
    ("R", 5, None),
)
KINDS: Final = {1: "generated", 2: "generated", 3: "shared", 4: "external", 5: "pool"}
HANDLING: Final = {
    "generated": Handling.GENERATED,
    "shared": Handling.SHARED,
    "external": Handling.UPLOADED,
    "pool": Handling.UPLOADED,
}
SERIES: Final = tuple(KINDS)
pick = st.sampled_from
MOSTLY: Final = pick([True, True, True, False])
LIMIT: Final = pick([-1, -1, 1, 2, 3])
MOST: Final = pick([-1, -1, 4, 6])
LIMITS: Final = st.fixed_dictionaries(
    {
        "multiple_use": MOSTLY,
        "same_user": MOSTLY,
        "per_code": LIMIT,
        "per_customer": LIMIT,
        "gap_days": pick([-1, -1, -1, 1, 2]),
        "any_user": st.booleans(),
        "many": st.booleans(),
        "sends_again": st.booleans(),
        "per_user": pick([-1, -1, 1, 2, 4]),
        "issue_gap": pick([-1, -1, -1, 1]),
        "excludes": pick([(), (), (), (2,), (3, 5)]),
        "days": pick([None, None, 0, 1]),
    }
)
# Most requests are sound: the fewer reasons there are to refuse them, the more the limits get to say.
SOUND: Final = pick(["A1", "A1", "B1", "C2", "E1", "F2", "S1", "S2", "T1", "X1", "Y2", "P1", "Q2"])
ONE: Final = SOUND.map(lambda pair: {"codes": [pair[0]], "customer": int(pair[1])})
ANY: Final = st.fixed_dictionaries(
    {
        "codes": st.lists(pick([code for code, _, _ in COUPONS] + ["a", "s", "NOPE", "*0", "*1"]), min_size=1, max_size=4),
        "customer": pick([1, 1, 2, 3, None]),
    }
)
OWN: Final = st.fixed_dictionaries({"codes": st.lists(pick("ABEST"), min_size=2, max_size=3), "customer": st.just(1)})
BILL: Final = st.fixed_dictionaries({"amount": pick([100, 100, 250]), "number": pick(["", "", "T1", "T2"])})
# A star and a number: the code of a coupon that was issued lately, by whoever has it.
LATE: Final = pick(["*0", "*0", "*1", "*2"]).map(lambda code: {"codes": [code], "customer": -1})
REQUEST: Final = st.builds(lambda what, bill: {**what, **bill}, ONE | ONE | ONE | LATE | LATE | OWN | ANY, BILL)
WHOM: Final = pick([1, 1, 1, 2, 2, 3, None])
CODE: Final = pick([*"ABCDESTXPQ", "NOPE", "*0", "*0", "*1", "*2"])
CODES: Final = st.lists(CODE, min_size=1, max_size=3)
ISSUE: Final = st.one_of(
    st.tuples(st.just("one"), pick([1, 1, 2, 3, 5, 5, 4, 9]).map(lambda number: [number]), st.just(1)),
    st.tuples(st.just("several"), pick([1, 1, 2, 3, 5, 5, 4]).map(lambda number: [number]), pick([1, 2, 3])),
    st.tuples(st.just("each"), st.lists(pick([1, 2, 3, 5, 9]), min_size=2, max_size=4), st.just(1)),
)
ORDER: Final = st.one_of(
    st.tuples(st.just("issue"), ISSUE, WHOM),
    st.tuples(st.just("issue"), ISSUE, WHOM),
    st.tuples(st.just("redeem"), REQUEST),
    st.tuples(st.just("redeem"), REQUEST),
    st.tuples(
        st.just("reverse"), st.lists(st.integers(-1, 40), min_size=1, max_size=2), pick(["", "", "RETURNED", "CHARGEBACK"])
    ),
    st.tuples(st.just("revoke"), pick([1, 1, 2, 3, 5, 9]), CODES | st.just([]), pick([1, 2, None])),
    st.tuples(st.just("redate"), pick([1, 2, 3, 5]), CODES, pick([1, None, None]), pick([-48, -1, 0, 5, 24, 10**6])),
    st.tuples(st.just("amend"), st.lists(st.integers(-1, 40), min_size=1, max_size=2)),
)
