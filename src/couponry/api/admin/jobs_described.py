"""The operations on jobs as the OpenAPI document describes them."""

from typing import Any, Final

from couponry.api.admin.jobs_wire import PATH, ExpiryBody, ExportBody, IssueBody, JobShown, Made, RevokeBody
from couponry.api.admin.paging import PARAMETERS, Listed
from couponry.api.envelopes import ProblemDetails
from couponry.api.operation import Operation, Parameter
from couponry.core.jobs import FileRole, JobKind, JobState
from couponry.core.status import Code

ONE: Final = f"{PATH}/{{job_id}}"
MOVES: Final = {"pause": JobState.PAUSED, "resume": JobState.QUEUED, "cancel": JobState.CANCELLED}
_ID: Final = Parameter("job_id", "path", "the job's id")
_UNKNOWN: Final = (404, "no such job")
_NAMED: Final = (
    (404, "no such series, campaign, upload, store or status label"),
    (409, "the terms of the series cannot be used"),
)
_DECIDED: Final = (Code.INVALID_INPUT, Code.SERIES_EXPIRED)
_REDATED: Final = (*_DECIDED, Code.EXPIRY_IN_PAST, Code.EXPIRY_BEYOND_SERIES)


def _asking(name: str, summary: str, body: Any, codes: tuple[Code, ...]) -> Operation:  # noqa: ANN401 - a type of any struct
    return Operation(
        f"{PATH}/{name}",
        "post",
        summary,
        Made,
        ProblemDetails,
        body,
        codes=codes,
        refusal_status=400,
        refusals=_NAMED,
        success_status=202,
    )


OPERATIONS: Final = (
    _asking(
        "issue",
        "Issue coupons to an audience, or make unissued codes",
        IssueBody,
        (*_DECIDED, Code.WRONG_SOURCE, Code.NO_CODE_LEFT),
    ),
    _asking("revoke", "Revoke many coupons of a series", RevokeBody, _DECIDED),
    _asking("expiry", "Give many coupons of a series another expiry", ExpiryBody, _REDATED),
    _asking("export", "Write coupons, redemptions, issues or refusals to a file", ExportBody, _DECIDED[:1]),
    Operation(
        PATH,
        "get",
        "Jobs, newest first",
        Listed[JobShown],
        ProblemDetails,
        parameters=(Parameter("kind", "query", "those of this kind alone", [*JobKind]), *PARAMETERS),
        refusal_status=400,
        codes=_DECIDED[:1],
    ),
    Operation(ONE, "get", "A job", JobShown, ProblemDetails, None, (_ID,), refusal_status=400, refusals=(_UNKNOWN,)),
    *(
        Operation(
            f"{ONE}/{move}",
            "post",
            f"{move.title()} a job; what it has done stays",
            JobShown,
            ProblemDetails,
            None,
            (_ID,),
            refusal_status=400,
            refusals=(_UNKNOWN, (409, "the job has ended")),
        )
        for move in MOVES
    ),
    *(
        Operation(
            f"{ONE}/files/{role}",
            "get",
            f"What a job wrote: {meaning}; as CSV, or as Parquet where an export was asked for in that form",
            str,
            ProblemDetails,
            None,
            (_ID,),
            content_type="text/csv",
            refusal_status=400,
            refusals=((404, "no such job, or it has written no such file"),),
        )
        for role, meaning in (
            (FileRole.ERRORS, "rows that failed, and why"),
            (FileRole.DONE, "rows that were done"),
            (FileRole.RESULT, "what it was to bring"),
        )
    ),
)
