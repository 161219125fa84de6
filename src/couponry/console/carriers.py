"""The carriers of what may be approved, by kind of approval."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from couponry.console.campaigns import changing
from couponry.console.campaigns.carrier import LaunchCarrier
from couponry.console.care import goodwill
from couponry.console.carrying import Carrier
from couponry.store import launches

CARRIERS: Final[Mapping[str, Carrier]] = MappingProxyType(
    {goodwill.KIND: goodwill.GoodwillCarrier(), launches.KIND: LaunchCarrier(), changing.KIND: changing.TermsCarrier()}
)
