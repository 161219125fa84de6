"""What an operator can set: environment variables `COUPONRY_*`, read once into a frozen value; `couponry settings` prints them.

A variable that is not in the table is left alone: Kubernetes sets `COUPONRY_SERVICE_HOST` and the like for a service of our name.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final, Self

from couponry.core import limits

PREFIX: Final = "COUPONRY_"
SECRET_KEY_CHARS_MIN: Final = 16
_RATE_LIMIT: Final = "rate_limit_"
_RATE_MAX: Final = 10_000_000
_PORT_MAX: Final = 65_535
_FILES: Final = Path("couponry-files")
_MASK: Final = "***"
_PASSWORD_IN_URL: Final = re.compile(r"(?<=://)([^:/@]*):[^@]*@")
_PASSWORD_IN_QUERY: Final = re.compile(r"([?&](?:password|sslpassword)=)[^&]*")

Network = IPv4Network | IPv6Network


class SettingInvalid(Exception):
    """A variable holds something that cannot be used; the message names it and never repeats the value."""


def _text(text: str) -> str:
    return text


def _flag(text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise ValueError("must be true or false")


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return read


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text.lower()

    return read


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError("must be a comma list of networks such as 10.0.0.0/8,fd00::/8") from error


def _database_url(text: str) -> str:
    if re.match(r"sqlite:///(?!:memory:).", text) or re.match(r"postgresql(\+psycopg)?://", text):
        return text
    raise ValueError("must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME")


def _secret(text: str) -> str:
    if len(text) < SECRET_KEY_CHARS_MIN:
        raise ValueError(f"must have at least {SECRET_KEY_CHARS_MIN} characters, at best random ones: openssl rand -hex 32")
    return text


def _setting(
    meaning: str, default: object, read: Callable[[str], object], *, shown: Callable[[Any], object] = lambda it: it
) -> Any:  # noqa: ANN401 - stands for a field of any type
    return field(default=default, metadata={"meaning": meaning, "read": read, "shown": shown})


def _rate(what: str) -> Any:  # noqa: ANN401 - as _setting
    return _setting(f"{what} per credential and minute; 0 = no limit", 0, _whole(0, _RATE_MAX))


def _network_texts(networks: tuple[Network, ...]) -> list[str]:
    return [str(network) for network in networks]


def _text_of(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _masked_url(url: str) -> str:
    return _PASSWORD_IN_QUERY.sub(rf"\1{_MASK}", _PASSWORD_IN_URL.sub(rf"\1:{_MASK}@", url))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting with its meaning, default and reader. The variable is the field's name in capitals after `COUPONRY_`."""

    database_url: str = _setting(
        "database: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME",
        "sqlite:///couponry.db",
        _database_url,
        shown=_masked_url,
    )
    secret_key: str | None = _setting(
        "secret that tokens, sessions and codes are made with; needed to serve, except with --demo",
        None,
        _secret,
        shown=lambda key: key and _MASK,
    )
    files_dir: Path = _setting(  # noqa: RUF009 - a path is immutable, too
        "folder of uploaded files and of those that jobs write; workers on other machines must see it too",
        _FILES,
        Path,
        shown=str,
    )
    files_kept_days: int = _setting(
        "days after which files of jobs that have ended are removed, and uploads that no job still reads",
        limits.FILES_KEPT_DAYS,
        _whole(1, 36_500),
    )
    host: str = _setting("address to listen on", "127.0.0.1", _text)
    port: int = _setting("port to listen on", 8000, _whole(1, _PORT_MAX))
    workers: int = _setting("server processes; SQLite serves best with one", 1, _whole(1, 256))
    write_lanes: int = _setting("write transactions at a time per process on PostgreSQL; SQLite has one", 2, _whole(1, 64))
    queue_commands_max: int = _setting(
        "requests that may wait for the ledger per process before new ones are turned away (789)",
        limits.QUEUE_COMMANDS_MAX,
        _whole(limits.BATCH_COMMANDS_MAX, 1_000_000),
    )
    request_budget_ms: int = _setting(
        "milliseconds after which a request is given up (748)",
        limits.REQUEST_BUDGET_MS_MAX,
        _whole(100, limits.DRAIN_MS_MAX - 1),
    )
    log_level: str = _setting("least severe log lines written", "info", _one_of("debug", "info", "warning", "error", "critical"))
    allowed_private_networks: tuple[Network, ...] = _setting(
        "comma list of private networks that webhooks, hooks and gateways may reach", (), _networks, shown=_network_texts
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        "comma list of networks whose X-Forwarded-For header is believed", (), _networks, shown=_network_texts
    )
    v11_code_as_string: bool = _setting("v1.1 answers hold status codes as strings, for old strict clients", False, _flag)
    v11_http_always_200: bool = _setting("v1.1 answers are HTTP 200 whatever their code", False, _flag)
    events_single_coupon_only: bool = _setting(
        "redeem requests of several coupons send no CouponRedeem events, in any org", False, _flag
    )
    rate_limit_v2_issue: int = _rate("V2 issues")
    rate_limit_redeem: int = _rate("v1.1 and V2 redeems")
    rate_limit_bulk_redeem: int = _rate("bulk redeems")
    rate_limit_bulk_issue: int = _rate("bulk issues")
    rate_limit_is_redeemable: int = _rate("redeemability checks")
    rate_limit_v11_series: int = _rate("v1.1 series reads")
    rate_limit_customer_add: int = _rate("customer registrations")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read every variable that is set and not empty. Raises SettingInvalid with all that is wrong."""
        values: dict[str, Any] = {}
        wrong = []
        for one in fields(cls):
            text = environ.get(variable(one.name), "").strip()
            if not text:
                continue
            try:
                values[one.name] = one.metadata["read"](text)
            except ValueError as error:
                wrong.append(f"{variable(one.name)} {error}")
        if wrong:
            raise SettingInvalid("; ".join(wrong))
        return cls(**values)

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables that make another process read these settings; those that are as by default are left out."""
        set_here = ((one.name, getattr(self, one.name)) for one in fields(self) if getattr(self, one.name) != one.default)
        return {variable(name): _text_of(value) for name, value in set_here}

    @property
    def rate_limits(self) -> Mapping[str, int]:
        """Requests per credential and minute by the last part of a variable's name (`REDEEM`, `V2_ISSUE`, ...); 0 = no limit."""
        return {
            one.name.removeprefix(_RATE_LIMIT).upper(): getattr(self, one.name)
            for one in fields(self)
            if one.name.startswith(_RATE_LIMIT)
        }

    def listing(self) -> list[dict[str, object]]:
        """The table of all settings as `couponry settings` prints it, secrets masked."""
        return [
            {
                "name": variable(one.name),
                "meaning": one.metadata["meaning"],
                "default": one.metadata["shown"](one.default),
                "value": one.metadata["shown"](getattr(self, one.name)),
            }
            for one in fields(self)
        ]


def variable(name: str) -> str:
    """The environment variable of a field."""
    return PREFIX + name.upper()
