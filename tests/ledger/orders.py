"""Orders: the ledger's commands beside redeem and check, by Mira at the till unless a test says otherwise."""

from typing import Any

from couponry.core.commands import Amend, Amendment, Issue, Redate, Reverse, Revoke
from couponry.core.model import Identifier
from tests.core.world import MIRA, ORG, place


def _but(fields: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    return {"org_id": ORG, "place": place()} | defaults | fields


def issue(*series_ids: int, **fields: Any) -> Issue:
    """One coupon of series 1, or of the only series named; of several series one of each."""
    series_ids = series_ids or (1,)
    form = "one" if len(series_ids) == 1 else "each"
    return Issue(**_but(fields, customer=(MIRA,), series_ids=series_ids, form=form))


def several(count: int, series_id: int = 1, **fields: Any) -> Issue:
    return issue(series_id, form="several", count=count, **fields)


def reverse(*redemption_ids: int, **fields: Any) -> Reverse:
    return Reverse(**_but(fields, redemption_ids=redemption_ids))


def revoke(*codes: str, **fields: Any) -> Revoke:
    """These codes of series 1, whoever has them; or all that Mira holds."""
    return Revoke(**_but(fields, customer=None if codes else (MIRA,), series_id=1, codes=codes))


def redate(expires_ms: int, *codes: str, **fields: Any) -> Redate:
    """Another expiry for codes of series 1."""
    return Redate(**_but(fields, customer=None, series_id=1, expiries=tuple((code, expires_ms) for code in codes)))


def amend(*redemption_ids: int, customer: tuple[Identifier, ...] | None = None, org_id: int = ORG, **changes: Any) -> Amend:
    """The same changes of several redemptions."""
    return Amend(
        **_but({}, org_id=org_id, customer=customer, amendments=tuple(Amendment(each, **changes) for each in redemption_ids))
    )
