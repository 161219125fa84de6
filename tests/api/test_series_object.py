"""The series object of v2-coupon 11.1: names, order, types, defaults, and what is there only when set."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from couponry.api.v2.series_object import series_fields, series_object
from couponry.core.model import AfterReversal, ExpiryReminder, Product, TargetUser
from couponry.core.rules.series import terms_from_wire
from couponry.core.series import series_from_terms
from couponry.store.offers import Counts, Offered
from tests.core.world import ms, terms

UTC = ZoneInfo("UTC")
INDIA = ZoneInfo("Asia/Kolkata")
NOTHING = Counts()
MADE_MS = ms("2031-02-01T08:00:00+00:00")
SENT: dict[str, Any] = {
    "description": "Monsoon 15",
    "discountCode": "MON15",
    "discountType": "PERC",
    "discountValue": 15,
    "discountUpto": 200,
    "anyUser": False,
    "smsTemplate": "Hi {{first_name}}, use {{voucher}} before {{voucher_expiry_date}}",
    "clientHandlingType": "DISC_CODE",
    "validTillDate": "2031-05-01T00:00:00+05:30",
    "expiryStrategyType": "SERIES_EXPIRY",
    "expiryStrategyValue": 1,
    "mutualExclusiveSeriesIds": "[5002]",
    "redemptionRange": '{"dom":[-1],"dow":[1,2,3],"hours":[-1]}',
    "redemptionOrgEntityDetails": [{"redemptionOrgEntityType": "STORE", "orgEntityId": 310}],
    "targetUserDetails": {
        "validMaxUserTransactionLimit": 0,
        "validUserRegistrationStartTime": 0,
        "validUserRegistrationEndTime": 0,
    },
    "productInfo": [{"productType": "BRAND", "productIds": [10, 20]}],
    "customPropertyMap": {"standard_terms_and_conditions": "Dine-in only"},
}
# The response of v2-coupon 11.1 as it is printed there, but for `warnings` and, after corrections 4, the unset per-code limit.
PRINTED = r"""{"customPropertyMap": {"standard_terms_and_conditions": "Dine-in only"}, "id": 5001, "orgId": 1001,
"description": "Monsoon 15", "discountCode": "MON15", "validTillDate": "2031-04-30T00:00:00Z",
"validTillDateTime": "2031-04-30T23:59:59Z", "validDaysFromCreation": 30, "expiryStrategyValue": 1,
"maxCreate": -1, "maxRedeem": -1, "isTransferrable": false, "anyUser": false, "sameUserMultipleRedeem": false,
"isReferralExistingUsersAllowed": false, "isMultipleUseAllowed": false, "isValidationRequired": false,
"isValidWithDiscountedItem": false, "createdBy": 4001, "numIssued": 0, "numRedeemed": 0, "createdOn": "2031-02-01T08:00:00Z",
"lastUsed": "2031-02-01T08:00:00Z", "seriesCode": "6LQG2MOU91",
"smsTemplate": "Hi {{first_name}}, use {{voucher}} before {{voucher_expiry_date}}", "isSMSDisabled": false, "info": "Monsoon 15",
"isMultipleVouchersPerUserAllowed": false, "doNotResendExistingVoucher": true, "mutualExclusiveSeriesIds": "[5002]",
"storeIdsJson": "[-1]", "isDvsEnabled": false, "dvsExpiryDate": "2031-02-01T00:00:00Z", "priority": 0,
"shortSMSTemplate": "Hello {{cust_name}}, your voucher code is {{voucher_code}}", "maxVouchersPerUser": -1,
"minDaysBetweenVouchers": -1, "maxReferralsPerReferee": -1, "discountUpto": 200, "discountValue": 15, "dvsItems": "items",
"redemptionRange": "{\"dom\":[-1],\"dow\":[1,2,3],\"hours\":[-1]}", "minBillAmount": 0, "maxBillAmount": 9007199254740991,
"redeemAtStore": "[-1]", "campaignId": -1, "tag": "Monsoon 15", "maxRedemptionsInSeriesPerUser": -1,
"minDaysBetweenRedemption": -1, "redemptionValidFrom": "1970-01-01T00:00:00Z", "sourceOrgId": -1, "issueToLoyalty": false,
"redeemStoreType": "redeemable_stores", "offlineRedeemType": false, "isOldFlowEnabled": false, "isPreRedeemEventRequired": false,
"productInfo": [{"productType": "BRAND", "productIds": [10, 20]}], "termsAndConditions": "T&C", "signalRedemptionEvent": false,
"syncToClient": false, "showPinCode": false,
"redemptionOrgEntityDetails": [{"redemptionOrgEntityType": "STORE", "orgEntityId": 310}],
"targetUserDetails": {"validMaxUserTransactionLimit": 0, "validUserRegistrationStartTime": 0, "validUserRegistrationEndTime": 0},
"numUploadedNonIssued": 0, "numUploadedTotal": 0, "redemptionValidAfterDays": 0, "ownedBy": "NONE", "ownerId": -1,
"ownerValidity": 0, "alphaNumeric": true, "shortCodeLength": 0, "randomCodeLength": 8, "fixedExpiryDate": 1935273600000,
"numTotal": 0, "latestIssualTime": 0, "latestRedemptionTime": 0, "resendMessageEnabled": true, "isPrefixEnabled": false,
"isSuffixEnabled": false, "orgPrefixOverride": false, "orgSuffixOverride": false, "seriesType": "UNDEFINED",
"clientHandlingType": "DISC_CODE", "expiryStrategyType": "SERIES_EXPIRY", "discountOn": "BILL", "discountType": "PERC",
"externalIssual": false, "updateProductData": false}"""


def offered(counts: Counts = NOTHING, campaign_id: int | None = None, **fields: Any) -> Offered:
    return Offered(1001, series_from_terms(5001, 1, terms(**fields)), MADE_MS, None, campaign_id, counts)


def test_example_of_the_contract() -> None:
    made = terms_from_wire(SENT, UTC, MADE_MS, new_code="6LQG2MOU91")
    row = Offered(1001, series_from_terms(5001, 1, made), MADE_MS, 4001, None, Counts())  # type: ignore[arg-type] # terms, or the test fails
    printed = msgspec.json.decode(PRINTED)
    shown = msgspec.json.decode(msgspec.json.encode(series_object(row, UTC)))
    assert shown == printed
    assert list(shown) == list(printed)
    assert [type(value) for value in shown.values()] == [type(value) for value in printed.values()]
    assert msgspec.json.encode(series_fields(row, UTC)) == msgspec.json.encode(series_object(row, UTC))


def test_only_what_is_set() -> None:
    optional = {
        *("customPropertyMap", "productInfo", "redemptionOrgEntityDetails", "targetUserDetails", "redemptionPerCouponMaxLimit"),
        *("genericCode", "couponPrefix", "couponSuffix", "unambiguousCode", "reversalPolicy", "purpose", "metadata"),
        *("expiryReminders", "issueLimitThreshold"),
    }
    assert not optional & series_fields(offered(), INDIA).keys()
    full = offered(
        custom_property_map={"a": "b"},
        product_info=(Product("SKU", product_codes=["X"]),),
        target_user_details=TargetUser(),
        redemption_per_coupon_max_limit=3,
        generic_code="BIG",
        coupon_prefix="P",
        coupon_suffix="S",
        unambiguous_code=True,
        reversal_policy={"RETURNED": AfterReversal(fresh_days=3), "CHARGEBACK": AfterReversal("consumed")},
        expiry_reminders=(ExpiryReminder(3, "SMS", "10:00"),),
        issue_limit_threshold=5,
        purpose="x",
        metadata="{}",
    )
    shown = msgspec.json.decode(msgspec.json.encode(series_fields(full, INDIA)))
    assert optional - shown.keys() == {"redemptionOrgEntityDetails"}
    assert shown["reversalPolicy"] == {
        "RETURNED": {"use": "returns", "freshDays": 3},
        "CHARGEBACK": {"use": "consumed", "freshDays": None},
    }


def test_counts() -> None:
    shown = series_fields(offered(Counts(7, 3, 10, MADE_MS + 1000, MADE_MS + 2000), campaign_id=4, max_create=50), INDIA)
    names = ("numIssued", "numRedeemed", "numUploadedTotal", "numUploadedNonIssued", "numTotal", "campaignId")
    assert [shown[name] for name in names] == [7, 3, 10, 3, 50, 4]
    assert (shown["latestIssualTime"], shown["latestRedemptionTime"]) == (MADE_MS + 1000, MADE_MS + 2000)
    assert shown["lastUsed"] == "2031-02-01T13:30:02+05:30"
    assert series_object(offered(), INDIA, unlimited_total=-1).num_total == -1
    assert series_object(offered(max_create=5), INDIA, unlimited_total=-1).num_total == 5


@pytest.mark.parametrize(
    ("fields", "day", "instant"),
    [
        ({"valid_till_date": date(2031, 4, 30)}, "2031-04-30T00:00:00+05:30", "2031-04-30T23:59:59+05:30"),
        (
            {"valid_till_date_time": datetime(2031, 4, 30, 9, 30)},  # noqa: DTZ001 - local by design
            "2031-04-30T00:00:00+05:30",
            "2031-04-30T09:30:00+05:30",
        ),
        ({"owner_validity": ms("2031-06-01 10:00:00")}, "2031-06-01T00:00:00+05:30", "2031-06-01T10:00:00+05:30"),
        ({"valid_till_date": date(9999, 12, 31)}, "9999-12-31T00:00:00+05:30", "9999-12-31T23:59:59+05:30"),
        ({"zone": "UTC", "valid_till_date": date(2031, 4, 30)}, "2031-05-01T00:00:00+05:30", "2031-05-01T05:29:59+05:30"),
    ],
)
def test_expiry(fields: dict[str, Any], day: str, instant: str) -> None:
    shown = series_fields(offered(**fields), INDIA)
    assert (shown["validTillDate"], shown["validTillDateTime"]) == (day, instant)
    assert shown["fixedExpiryDate"] == datetime.fromisoformat(day).timestamp() * 1000


def test_numbers_as_they_are() -> None:
    shown = series_fields(offered(discount_value=Decimal("12.5"), min_bill_amount=Decimal(100)), INDIA)
    assert (shown["discountValue"], shown["minBillAmount"]) == (12.5, 100)
