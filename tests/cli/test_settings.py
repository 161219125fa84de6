"""The environment, read once: types, bounds, masks."""

from ipaddress import ip_network

import pytest

from couponry.settings import SettingInvalid, Settings


def test_defaults_need_no_environment() -> None:
    settings = Settings.from_environ({"PATH": "/bin"})
    assert settings.database_url == "sqlite:///couponry.db"
    assert settings.secret_key is None
    assert set(settings.rate_limits.values()) == {0}
    assert {"V2_ISSUE", "REDEEM", "IS_REDEEMABLE"} <= settings.rate_limits.keys()


def test_every_setting_is_typed() -> None:
    settings = Settings.from_environ(
        {
            "COUPONRY_DATABASE_URL": "postgresql://shop:pw@db/shop",
            "COUPONRY_PORT": "80",
            "COUPONRY_V11_CODE_AS_STRING": "true",
            "COUPONRY_RATE_LIMIT_REDEEM": "1000",
            "COUPONRY_ALLOWED_PRIVATE_NETWORKS": "10.0.0.0/8, fd00::/8",
            "COUPONRY_LOG_LEVEL": "DEBUG",
            "COUPONRY_HOST": "",
        }
    )
    assert (settings.port, settings.v11_code_as_string, settings.log_level, settings.host) == (80, True, "debug", "127.0.0.1")
    assert settings.rate_limits["REDEEM"] == 1000
    assert settings.allowed_private_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def test_another_process_reads_the_same() -> None:
    variables = {
        "COUPONRY_DATABASE_URL": "postgresql://shop:pw@db/shop",
        "COUPONRY_SECRET_KEY": "0123456789abcdef",
        "COUPONRY_FILES_DIR": "/srv/files",
        "COUPONRY_ALLOWED_PRIVATE_NETWORKS": "10.0.0.0/8,fd00::/8",
        "COUPONRY_V11_CODE_AS_STRING": "True",
        "COUPONRY_PORT": "81",
    }
    settings = Settings.from_environ(variables)
    assert settings.environ == variables
    assert Settings.from_environ(settings.environ) == settings
    assert Settings().environ == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "tcp://10.0.0.1:80"),
        ("PORT", "0"),
        ("WRITE_LANES", "-1"),
        ("DATABASE_URL", "mysql://db"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("SECRET_KEY", "short-secret"),
        ("V11_HTTP_ALWAYS_200", "perhaps"),
        ("LOG_LEVEL", "loud"),
        ("TRUSTED_PROXIES", "10.0.0.0/99"),
        ("QUEUE_COMMANDS_MAX", "1"),
        ("RATE_LIMIT_REDEEM", "\N{ARABIC-INDIC DIGIT ONE}"),
    ],
)
def test_wrong_value_is_named_and_not_repeated(name: str, value: str) -> None:
    """Prevents a server that starts with something else than what was meant, and a secret in a log."""
    with pytest.raises(SettingInvalid) as raised:
        Settings.from_environ({f"COUPONRY_{name}": value})
    assert f"COUPONRY_{name} must" in str(raised.value)
    assert name != "SECRET_KEY" or value not in str(raised.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SettingInvalid, match=r"COUPONRY_PORT.*; COUPONRY_LOG_LEVEL"):
        Settings.from_environ({"COUPONRY_PORT": "x", "COUPONRY_LOG_LEVEL": "x"})


def test_listing_masks_secrets() -> None:
    secret = "0123456789abcdef"
    for url in (f"postgresql://shop:{secret}@db/shop", f"postgresql://db/shop?user=u&password={secret}&sslmode=require"):
        settings = Settings.from_environ({"COUPONRY_DATABASE_URL": url, "COUPONRY_SECRET_KEY": secret})
        listing = settings.listing()
        assert secret not in str(listing)
        assert [sorted(row) for row in listing] == [["default", "meaning", "name", "value"]] * len(listing)
        assert all(row["meaning"] for row in listing)
