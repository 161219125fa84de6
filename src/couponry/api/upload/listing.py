"""The uploads for a series, read (upload 3)."""

from couponry.api.call import Call
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.upload.intake import terms_of
from couponry.core.jobs import Job, JobKind
from couponry.core.limits import JOBS_LISTED_MAX
from couponry.core.model import Org, Terms
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store.jobs import jobs_of_series


async def listed(parts: Parts, call: Call, sent_id: str, kind: JobKind) -> tuple[Org, int, list[Job]] | Problem | Code:
    """The last jobs of this kind for the series that a path names, oldest first."""
    org = org_of(call)
    if isinstance(org, Code):
        return org
    terms = await terms_of(parts, org.id, sent_id)
    if not isinstance(terms, Terms):
        return terms
    jobs = await parts.back_office.read(lambda tx: jobs_of_series(tx, org.id, int(sent_id), kind, JOBS_LISTED_MAX))
    return jobs if isinstance(jobs, Code) else (org, int(sent_id), jobs)
