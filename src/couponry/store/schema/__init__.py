"""Every table. Keys and unique indexes start with `org_id`, so a tenant is one shard; the constraints repeat the rules.

Instants are epoch milliseconds, money is a scaled integer (`limits.MONEY_SCALE`), JSON is text that msgspec reads and writes.
`org`, `login` and `access_group` are small and shared; on Citus `org` and `login` are reference tables.
"""

from couponry.store.schema.asking import (
    access_group,
    attribution_lookup,
    client,
    concept,
    console_user,
    login,
    org,
    serial,
    store,
    till,
    zone,
)
from couponry.store.schema.circulation import (
    coupon,
    customer_series,
    idempotency,
    missed_call,
    otp,
    outbox,
    redemption,
    refusal,
)
from couponry.store.schema.figures import daily_figure, daily_refusal
from couponry.store.schema.launching import campaign_draft, launch
from couponry.store.schema.offering import (
    CAPPED_STRIPE,
    STRIPES,
    campaign,
    customer,
    series,
    series_audience,
    series_counter,
    series_entity,
    series_version,
    status_label,
)
from couponry.store.schema.people import approval, audit, console_session, second_factor, tally
from couponry.store.schema.table import metadata
from couponry.store.schema.telling import delivery, reminder, series_notice, webhook
from couponry.store.schema.work import job, job_file, upload

__all__ = [
    "CAPPED_STRIPE",
    "STRIPES",
    "access_group",
    "approval",
    "attribution_lookup",
    "audit",
    "campaign",
    "campaign_draft",
    "client",
    "concept",
    "console_session",
    "console_user",
    "coupon",
    "customer",
    "customer_series",
    "daily_figure",
    "daily_refusal",
    "delivery",
    "idempotency",
    "job",
    "job_file",
    "launch",
    "login",
    "metadata",
    "missed_call",
    "org",
    "otp",
    "outbox",
    "redemption",
    "refusal",
    "reminder",
    "second_factor",
    "serial",
    "series",
    "series_audience",
    "series_counter",
    "series_entity",
    "series_notice",
    "series_version",
    "status_label",
    "store",
    "tally",
    "till",
    "upload",
    "webhook",
    "zone",
]
