import pytest

from couponry.core.tags import remarks
from tests.core.telling_world import terms


@pytest.mark.parametrize(
    ("long", "short", "found"),
    [
        ("Use {{ voucher }}", "{{voucher_code}}", []),
        ("Use {{ voucher }}", "", []),
        ("", "{{voucher_code}}", []),
        ("", " ", ["there is no smsTemplate, so that no message is sent"]),
        (
            "Hello {{nope}}",
            "Hi {{voucher}}",
            ["smsTemplate has an unknown tag {{nope}}", "smsTemplate does not name the code: {{voucher}}"],
        ),
        ("{{ voucher }}" + "x" * 160, "{{voucher}}", []),
        ("{{ voucher }}" + "x" * 161, "{{voucher}}", ["smsTemplate is sent in 2 SMS or more, as GSM-7"]),
        ("{{ voucher }}" + "अ" * 71, "{{voucher}}", ["smsTemplate is sent in 2 SMS or more, as UCS-2"]),
        ("Use {{ voucher }}", "{{voucher}}" + "€" * 81, ["shortSMSTemplate is sent in 2 SMS or more, as GSM-7"]),
        ("Use {{ voucher }}", "Hi", ["shortSMSTemplate does not name the code: {{voucher}}"]),
    ],
)
def test_what_the_owner_should_know(long: str, short: str, found: list[str]) -> None:
    assert remarks(terms(sms_template=long, short_sms_template=short)) == found


def test_templates_that_nobody_uses() -> None:
    assert remarks(terms(is_sms_disabled=True, sms_template="", short_sms_template="")) == []
    assert remarks(terms(is_sms_disabled=True, sms_template="{{nope}}")) == ["smsTemplate has an unknown tag {{nope}}"]
