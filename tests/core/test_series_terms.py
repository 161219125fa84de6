"""Terms from wire fields: defaults, every form of a value, and every refusal of rules.md section 2."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponry.core.dates import local_from_wire, ms_from_local
from couponry.core.model import AfterReversal, ExpiryReminder, ExpiryStrategy, Handling, Terms
from couponry.core.org_settings import OrgSettings
from couponry.core.problem import Problem
from couponry.core.rules.series import changed_terms, code_space_problem, code_space_warning, terms_from_wire
from couponry.core.series import series_from_terms
from couponry.core.tags import unknown_tags

INDIA = ZoneInfo("Asia/Kolkata")
NOW_MS = int(datetime(2028, 2, 29, 20, tzinfo=UTC).timestamp() * 1000)  # already 1 March in India
LEAST: dict[str, Any] = {"description": "Ten off", "discountType": "ABS", "discountValue": 10, "clientHandlingType": "DISC_CODE"}

NAMES = [field.encode_name for field in msgspec.structs.fields(Terms)]


def read(zone: ZoneInfo = INDIA, /, **fields: Any) -> Terms | Problem:
    return terms_from_wire({**LEAST, **fields}, zone, NOW_MS, new_code="6LQG2MOU91")


def terms(zone: ZoneInfo = INDIA, /, **fields: Any) -> Terms:
    made = read(zone, **fields)
    assert isinstance(made, Terms), made
    return made


def test_defaults() -> None:
    made = terms()
    assert (made.series_code, made.info, made.tag, made.discount_code) == ("6LQG2MOU91", "Ten off", "Ten off", "NO_VALUE")
    assert (made.valid_till_date, made.valid_till_date_time) == (date(2128, 3, 1), None)
    assert terms(ZoneInfo("UTC")).valid_till_date == date(2128, 2, 29)
    assert made.expiry_strategy_value == 1
    assert made.redemption_per_coupon_max_limit == -1
    assert made.max_bill_amount == Decimal(9007199254740991)


def test_terms_survive_the_database() -> None:
    made = terms(
        validTillDateTime="2031-04-30T12:00:00Z", discountValue="7.5", targetUserDetails={"validMaxUserTransactionLimit": 0}
    )
    assert msgspec.json.decode(msgspec.json.encode(made), type=Terms) == made
    assert series_from_terms(5001, 1, made).expires_local == datetime(2031, 4, 30, 17, 30)  # noqa: DTZ001 - local by design


@pytest.mark.parametrize(
    "value",
    ["2031-05-01T00:00:00+05:30", "2031-04-30T18:30:00Z", "2031-05-01", "2031-05-01 00:00:00", 1935340200000, "1935340200000"],
)
def test_every_form_of_a_date(value: object) -> None:
    assert terms(validTillDate=value).valid_till_date == date(2031, 5, 1)
    assert terms(redemptionValidFrom=value).redemption_valid_from == date(2031, 5, 1)
    exact = terms(validTillDateTime=value, validTillDate="2040-01-01")
    assert exact.valid_till_date_time == datetime(2031, 5, 1)  # noqa: DTZ001 - local by design
    assert exact.valid_till_date == date(2031, 5, 1)


def test_date_moves_into_the_zone_of_the_org() -> None:
    """v2-coupon 11.1: a +05:30 midnight is the day before in UTC."""
    assert terms(ZoneInfo("UTC"), validTillDate="2031-05-01T00:00:00+05:30").valid_till_date == date(2031, 4, 30)


def test_text_of_a_csv_cell_reads_as_the_value_in_json() -> None:
    typed: dict[str, Any] = {
        "discountValue": 15.5,
        "maxRedeem": 100,
        "anyUser": True,
        "isMultipleUseAllowed": False,
        "redemptionRange": {"dom": [-1], "dow": [1, 2], "hours": [-1]},
        "mutualExclusiveSeriesIds": [5002],
        "redemptionOrgEntityDetails": [{"redemptionOrgEntityType": "STORE", "orgEntityId": 310}],
        "targetUserDetails": {"validMaxUserTransactionLimit": 0, "validUserRegistrationStartTime": None},
        "productInfo": [{"productType": "BRAND", "productIds": [10]}],
        "customPropertyMap": {"standard_terms_and_conditions": "Dine-in only"},
    }
    texts: dict[str, Any] = {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode() for name, value in typed.items()
    }
    assert (
        terms(**typed)
        == terms(**texts)
        == terms(**{**texts, "anyUser": "1", "isMultipleUseAllowed": "0", "priority": "", "id": "x"})
    )


def test_read_only_fields_are_ignored() -> None:
    assert terms(id="x", orgId=[], numIssued=7, ownerValidity=5, zone="Mars", hasAudience=True, unknown={}) == terms()
    kept = terms_from_wire({**LEAST, "ownerValidity": "1935273600000"}, INDIA, NOW_MS, new_code="X", keeps_owner=True)
    assert isinstance(kept, Terms)
    assert kept.owner_validity == 1935273600000


def test_kinds_of_series() -> None:
    assert terms(clientHandlingType="GENERIC", genericCode=" BIG10 ").generic_code == "BIG10"
    assert terms(clientHandlingType="DISC_CODE_PIN", genericCode="BIG10").generic_code is None
    assert terms(clientHandlingType="DISC_CODE_PIN").client_handling_type is Handling.UPLOADED
    assert terms(couponSeriesAudience=[90001]).has_audience
    assert not terms(couponSeriesAudience=[]).has_audience
    days = terms(expiryStrategyType="DAYS", expiryStrategyValue=0)
    assert (days.expiry_strategy_type, days.expiry_strategy_value) == (ExpiryStrategy.DAYS, 0)
    assert terms(expiryStrategyType="SERIES_EXPIRY", expiryStrategyValue=9).expiry_strategy_value == 1
    assert terms(anyUser=True, redemptionPerCouponMaxLimit=5).redemption_per_coupon_max_limit == 5
    assert terms(redemptionPerCouponMaxLimit=None, maxBillAmount=-1, minBillAmount="99.5").min_bill_amount == Decimal("99.5")


@pytest.mark.parametrize("name", ["description", "discountType", "discountValue", "clientHandlingType"])
@pytest.mark.parametrize("blank", [None, "", "  "])
def test_mandatory(name: str, blank: str | None) -> None:
    fields: dict[str, Any] = {name: blank}
    assert read(**fields) == Problem(403, f"Field {name} is mandatory.")


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        (753, {"seriesCode": " "}),
        (754, {"clientHandlingType": "GENERIC"}),
        (754, {"clientHandlingType": "GENERIC", "genericCode": " "}),
        (756, {"mutualExclusiveSeriesIds": "5002"}),
        (756, {"mutualExclusiveSeriesIds": '["a"]'}),
        (756, {"mutualExclusiveSeriesIds": "no json"}),
        (744, {"clientHandlingType": "GENERIC", "genericCode": "BIG-10"}),
        (744, {"clientHandlingType": "GENERIC", "genericCode": "B" * 41}),
        (744, {"clientHandlingType": "OTHER"}),
        (744, {"seriesCode": "x" * 256}),
        (744, {"seriesCode": "a\0b"}),
        (744, {"discountType": "HALF"}),
        (744, {"discountOn": "SHIPPING"}),
        (744, {"discountValue": -1}),
        (744, {"discountValue": "NaN"}),
        (744, {"discountValue": "Infinity"}),
        (744, {"discountValue": "1e400"}),
        (744, {"discountValue": True}),
        (744, {"discountType": "PERC", "discountValue": 100.01}),
        (744, {"discountUpto": -1}),
        (744, {"minBillAmount": "cheap"}),
        (744, {"maxBillAmount": -2}),
        (744, {"maxRedeem": 2**31}),
        (744, {"maxRedeem": -2}),
        (744, {"maxCreate": "many"}),
        (744, {"maxCreate": 1.5}),
        (744, {"maxVouchersPerUser": True}),
        (744, {"randomCodeLength": 3}),
        (744, {"randomCodeLength": 41}),
        (744, {"randomCodeLength": 36, "couponPrefix": "ABCDE", "isPrefixEnabled": True}),
        (744, {"couponSuffix": "a b", "isSuffixEnabled": True}),
        (744, {"redemptionValidAfterDays": -1}),
        (744, {"expiryStrategyType": "WEEKS"}),
        (744, {"expiryStrategyType": "DAYS", "expiryStrategyValue": -1}),
        (744, {"expiryStrategyType": "DAYS", "expiryStrategyValue": 36_501}),
        (744, {"expiryStrategyType": "MONTHS_END", "expiryStrategyValue": 1_201}),
        (744, {"validTillDate": "31-04-2031"}),
        (744, {"validTillDate": "2031-02-30"}),
        (744, {"validTillDate": 10**15}),
        (744, {"validTillDateTime": "soon"}),
        (744, {"redemptionValidFrom": True}),
        (744, {"redemptionRange": '{"dow": [9]}'}),
        (744, {"redemptionRange": '{"hours": "noon"}'}),
        (744, {"redemptionRange": "[1]"}),
        (744, {"redeemAtStore": "310"}),
        (744, {"storeIdsJson": '{"a": 1}'}),
        (744, {"redemptionOrgEntityDetails": [{"redemptionOrgEntityType": "PLANET", "orgEntityId": 3}]}),
        (744, {"redemptionOrgEntityDetails": "STORE"}),
        (744, {"targetUserDetails": {"validMaxUserTransactionLimit": "few"}}),
        (744, {"customPropertyMap": {str(n): "x" for n in range(21)}}),
        (744, {"customPropertyMap": {"standard_terms_and_conditions": "x" * 501}}),
        (744, {"customPropertyMap": {"other": "x" * 1001}}),
        (744, {"anyUser": "perhaps"}),
        (744, {"externalIssual": True, "anyUser": True}),
        (744, {"redemptionPerCouponMaxLimit": 0, "anyUser": True}),
        (744, {"redemptionPerCouponMaxLimit": 5}),
        (744, {"redemptionPerCouponMaxLimit": 5, "anyUser": True, "clientHandlingType": "GENERIC", "genericCode": "G"}),
        (744, {"seriesType": "SECRET"}),
        (744, {"minBillAmount": 500, "maxBillAmount": 499}),
        (744, {"validTillDate": "1968-12-31"}),
        (744, {"redemptionValidFrom": "0001-01-01"}),
        (744, {"dvsExpiryDate": -(10**14)}),
        (744, {"mutualExclusiveSeriesIds": list(range(1, 102))}),
        (744, {"redeemAtStore": list(range(1001))}),
        (744, {"storeIdsJson": list(range(1001))}),
        (744, {"redemptionOrgEntityDetails": [{"redemptionOrgEntityType": "TILL", "orgEntityId": 1}] * 1001}),
        (744, {"productInfo": [{"productType": "SKU"}] * 1001}),
        (744, {"productInfo": [{"productType": "SKU", "productIds": list(range(501))}] * 2}),
        (744, {"productInfo": [{"productType": "SKU", "productCodes": ["x" * 256]}]}),
        (744, {"description": "x" * 2001}),
        (744, {"info": "x" * 2001}),
        (744, {"tag": "x" * 2001}),
        (744, {"purpose": "x" * 2001}),
        (744, {"discountCode": "x" * 256}),
        (744, {"couponPrefix": "x" * 41}),
        (744, {"couponSuffix": "x" * 41}),
        (744, {"smsTemplate": "x" * 10_001}),
        (744, {"shortSMSTemplate": "x" * 10_001}),
        (744, {"termsAndConditions": "x" * 10_001}),
        (744, {"metadata": "x" * 10_001}),
        (744, {"dvsItems": "x" * 10_001}),
        (744, {"customPropertyMap": {"x" * 256: "x"}}),
        (
            744,
            {
                "smsTemplate": "\N{DEVANAGARI LETTER A}" * 10_000,
                "termsAndConditions": "\N{DEVANAGARI LETTER A}" * 10_000,
                "dvsItems": "x" * 9_999,
            },
        ),
    ],
)
def test_refusals(code: int, fields: dict[str, Any]) -> None:
    refused = read(**fields)
    assert isinstance(refused, Problem), refused
    assert refused.code == code
    assert code != 744 or (refused.message == "Couldn't save coupon series fields" and refused.detail)


def test_what_is_large_but_used() -> None:
    template = "x" * 10_000
    made = terms(
        **dict.fromkeys(("smsTemplate", "shortSMSTemplate", "termsAndConditions"), template),
        productInfo=[{"productType": "SKU", "productIds": list(range(10**9, 10**9 + 1000))}],
        mutualExclusiveSeriesIds=list(range(1, 101)),
        minBillAmount=500,
        maxBillAmount=0,
        validTillDate="9999-12-31",
        redemptionValidFrom=0,
    )
    assert isinstance(changed(made, info="x" * 2000), Terms)
    assert terms(ZoneInfo("Pacific/Pago_Pago"), redemptionValidFrom=0).redemption_valid_from == date(1969, 12, 31)
    assert terms(minBillAmount=500, maxBillAmount=500).max_bill_amount == 500


DEEP: list[Any] = []
for _ in range(900):
    DEEP = [DEEP]


@pytest.mark.parametrize("sent", ["[" * 200_000, "[" * 50_000, '{"dom":' * 9_000, DEEP], ids=["long", "deep", "objects", "typed"])
@pytest.mark.parametrize("name", NAMES)
def test_nested_without_end(name: str, sent: Any) -> None:
    """Prevents the 500 of a parser that gives up, when terms are made, changed, and supposed."""
    for told in (read(**{name: sent}), changed(terms(), **{name: sent})):
        assert not isinstance(told, Problem) or told.code in {744, 756}, told


def test_series_may_not_exclude_itself() -> None:
    fields = {**LEAST, "mutualExclusiveSeriesIds": "[5002]"}
    assert isinstance(terms_from_wire(fields, INDIA, NOW_MS, new_code="X", series_id=5001), Terms)
    refused = terms_from_wire(fields, INDIA, NOW_MS, new_code="X", series_id=5002)
    assert refused == Problem(756, "invalid value for mutually exclusive config series")


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1e999", "[-1]", "{}", "2031-01-01"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*NAMES, "couponSeriesAudience"]), ANYTHING, max_size=4))
def test_anything_is_terms_or_a_refusal(fields: dict[str, Any]) -> None:
    """Prevents a 500 from a body, and terms that are saved and then cannot be read (788)."""
    made = read(**fields)
    if isinstance(made, Terms):
        series_from_terms(5001, 1, msgspec.json.decode(msgspec.json.encode(made), type=Terms))


@pytest.mark.parametrize(
    "text", ["2031-W01-1", "20310501T00", "2031-05-01T25:00", "", "0000-01-01", "2031-05-01T00:00:00+99:00", "１２"]
)
def test_no_date(text: str) -> None:
    with pytest.raises(ValueError):
        local_from_wire(text, INDIA)


def test_instant_of_a_wall_clock() -> None:
    assert ms_from_local(local_from_wire(1935340200123, INDIA), INDIA) == 1935340200000


def changed(before: Terms, /, **fields: Any) -> Terms | Problem:
    return changed_terms(before, fields, NOW_MS, series_id=5001)


def test_update_keeps_what_is_not_sent() -> None:
    before = terms(
        validTillDateTime="2031-04-30T12:00:00Z",
        discountValue="7.5",
        couponSeriesAudience=["x"],
        redemptionOrgEntityDetails=[{"redemptionOrgEntityType": "STORE", "orgEntityId": 310}],
        reversalPolicy={"RETURNED": {"use": "returns", "freshDays": 2}},
    )
    assert changed(before) == before
    assert changed(before, unknown=1, id=7, ownerValidity=9, zone="Mars", info=None) == before
    assert changed(before, info="new") == msgspec.structs.replace(before, info="new")
    assert changed(before, validTillDate="2031-06-01") == msgspec.structs.replace(
        before, valid_till_date=date(2031, 6, 1), valid_till_date_time=None
    )
    assert changed(before, couponSeriesAudience=[]) == msgspec.structs.replace(before, has_audience=False)
    assert changed(before, reversalPolicy=None) == msgspec.structs.replace(before, reversal_policy={})


def test_update_stays_in_the_zone_of_the_series() -> None:
    """An org that moves does not move the last day of its series."""
    before = terms(ZoneInfo("Pacific/Tongatapu"), validTillDate="2031-04-30")
    assert changed(before, info="new") == msgspec.structs.replace(before, info="new")
    later = changed(before, validTillDate="2031-04-30T12:00:00Z")
    assert isinstance(later, Terms)
    assert later.valid_till_date == date(2031, 5, 1)


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        (744, {"clientHandlingType": "DISC_CODE_PIN"}),
        (744, {"expiryStrategyType": "DAYS"}),
        (744, {"maxRedeem": -2}),
        (753, {"seriesCode": " "}),
        (754, {"clientHandlingType": "GENERIC"}),
        (756, {"mutualExclusiveSeriesIds": [5001]}),
        (403, {"discountType": " "}),
    ],
)
def test_refused_updates(code: int, fields: dict[str, Any]) -> None:
    refused = changed(terms(), **fields)
    assert isinstance(refused, Problem)
    assert refused.code == code


def test_series_that_names_itself_already_can_be_changed() -> None:
    """Prevents a series that can never be saved again: whoever made it did not know its id."""
    before = terms(mutualExclusiveSeriesIds="[5001]")
    assert isinstance(changed(before, mutualExclusiveSeriesIds="[5001]", info="x"), Terms)
    assert isinstance(changed(before, mutualExclusiveSeriesIds="[5001, 7]"), Problem)


@given(st.dictionaries(st.sampled_from([*NAMES, "couponSeriesAudience"]), ANYTHING, max_size=3))
def test_any_update_is_terms_or_a_refusal(fields: dict[str, Any]) -> None:
    made = changed(terms(), **fields)
    if isinstance(made, Terms):
        assert changed(made) == made


def test_code_space() -> None:
    small = terms(randomCodeLength=4, maxCreate=100)
    assert code_space_problem(small, OrgSettings()) is None
    big = terms(randomCodeLength=4, maxCreate=1000)
    problem = code_space_problem(big, OrgSettings())
    assert problem
    assert problem.code == 744
    assert code_space_problem(msgspec.structs.replace(big, info="x"), OrgSettings(), big) is None
    assert code_space_problem(big, OrgSettings(), small)
    assert code_space_problem(terms(randomCodeLength=40), OrgSettings(code_prefix="X"))
    for other in ({"clientHandlingType": "DISC_CODE_PIN"}, {"externalIssual": True}):
        assert code_space_problem(terms(randomCodeLength=4, maxCreate=1000, **other), OrgSettings()) is None
        assert code_space_warning(terms(randomCodeLength=4, **other), OrgSettings(), 0) is None
    assert code_space_warning(terms(randomCodeLength=4), OrgSettings(), 0)
    assert code_space_warning(terms(), OrgSettings(), 10**8) is None


@pytest.mark.parametrize(
    "policy",
    [
        {"BOREDOM": {"use": "returns"}},
        {"RETURNED": {"use": "vanishes"}},
        {"RETURNED": {"use": "returns", "freshDays": -1}},
        {"RETURNED": {"use": "returns", "freshDays": 36_501}},
        {"RETURNED": {"use": "consumed", "freshDays": 1}},
        {"RETURNED": "returns"},
        [],
    ],
)
def test_reversal_policies_that_mean_nothing(policy: Any) -> None:
    refused = read(reversalPolicy=policy)
    assert isinstance(refused, Problem)
    assert refused.code == 744


def test_reversal_policy() -> None:
    sent = {"RETURNED": {"use": "returns", "freshDays": 3}, "CHARGEBACK": {"use": "consumed"}, "CANCELLED": {"use": "returns"}}
    for policy in (sent, msgspec.json.encode(sent).decode()):
        made = terms(reversalPolicy=policy)
        assert made.reversal_policy == {
            "RETURNED": AfterReversal(fresh_days=3),
            "CHARGEBACK": AfterReversal("consumed"),
            "CANCELLED": AfterReversal(),
        }
    assert terms().reversal_policy == {}


@pytest.mark.parametrize(
    "reminders",
    [
        [{"daysBefore": -1, "channel": "SMS", "timeOfDay": "10:00"}],
        [{"daysBefore": 367, "channel": "SMS", "timeOfDay": "10:00"}],
        [{"daysBefore": 3, "channel": "sms", "timeOfDay": "10:00"}],
        [{"daysBefore": 3, "channel": "SMS", "timeOfDay": "24:00"}],
        [{"daysBefore": 3, "channel": "SMS", "timeOfDay": "9:00"}],
        [{"daysBefore": 3, "channel": "SMS", "timeOfDay": "١٠:00"}],
        [{"daysBefore": 3, "channel": "SMS"}],
        [{"daysBefore": 3, "channel": "SMS", "timeOfDay": "10:00"}, {"daysBefore": 3, "channel": "SMS", "timeOfDay": "11:00"}],
        [{"daysBefore": days, "channel": "SMS", "timeOfDay": "10:00"} for days in range(11)],
        {"daysBefore": 3},
        "tomorrow",
    ],
)
def test_reminders_that_cannot_be(reminders: Any) -> None:
    refused = read(expiryReminders=reminders)
    assert isinstance(refused, Problem)
    assert refused.code == 744


def test_reminders() -> None:
    sent = [
        {"daysBefore": 0, "channel": "SMS", "timeOfDay": "00:00"},
        {"daysBefore": 7, "channel": "EMAIL", "timeOfDay": "23:59"},
    ]
    read_back = (ExpiryReminder(0, "SMS", "00:00"), ExpiryReminder(7, "EMAIL", "23:59"))
    for reminders in (sent, msgspec.json.encode(sent).decode()):
        assert terms(expiryReminders=reminders).expiry_reminders == read_back
    before = terms(expiryReminders=sent, issueLimitThreshold="5")
    assert changed(before) == before
    assert changed(before, expiryReminders=None, issueLimitThreshold=None) == terms()


def test_unknown_tags() -> None:
    assert unknown_tags("Hi {{ first_name }}, {{voucher}} {{nope}} {{ nope }} {{}} {name} {{a{b}}") == ["nope", ""]
    assert unknown_tags(terms().short_sms_template) == []
