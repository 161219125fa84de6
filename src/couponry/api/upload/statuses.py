"""What became of uploads, as the contract prints it (upload 1-3)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, Generic, Literal, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, Struct, UnsetType

from couponry.api.call import Reply
from couponry.core.jobs import FileRole, Job, JobState
from couponry.core.model import Org

State = Literal["STARTED", "FINISHED", "FAILED"]
RedeemedState = Literal["QUEUED", "PROCESSING", "COMPLETED", "FAILED"]
_STATES: Final[Mapping[JobState, State]] = MappingProxyType(
    {
        JobState.QUEUED: "STARTED",
        JobState.RUNNING: "STARTED",
        JobState.PAUSED: "STARTED",
        JobState.FINISHED: "FINISHED",
        JobState.FAILED: "FAILED",
        JobState.CANCELLED: "FAILED",
    }
)
_REDEEMED_STATES: Final[Mapping[JobState, RedeemedState]] = MappingProxyType(
    {
        JobState.QUEUED: "QUEUED",
        JobState.RUNNING: "PROCESSING",
        JobState.PAUSED: "PROCESSING",
        JobState.FINISHED: "COMPLETED",
        JobState.FAILED: "FAILED",
        JobState.CANCELLED: "FAILED",
    }
)


class UploadStatus(Struct, frozen=True, rename="camel", kw_only=True):
    """One upload of coupons. Instants are epoch milliseconds as text; the files' names can be fetched below `files/`."""

    job_id: int
    upload_status: State
    created_on: str
    updated_on: str
    error_file_url: str | None
    success_file_url: None = None
    uploaded_file_url: str
    total_uploaded_count: int
    actual_row_count: int
    error_count: int
    upload_table_name: str | None
    uploaded_file_name: str
    audience_group_id: int = 0
    audience_group_version_id: int = 0


class RedeemedUploadStatus(Struct, frozen=True, rename="camel", kw_only=True):
    """One upload of redemptions; the same otherwise."""

    job_id: int
    upload_redeemed_coupon_status: RedeemedState
    created_on: str
    updated_on: str
    error_file_url: str | None
    success_file_url: str | None
    uploaded_file_url: str
    total_uploaded_count: int
    actual_row_count: int
    error_count: int
    upload_table_name: str | None
    uploaded_file_name: str


class Uploads(Struct, frozen=True, rename="camel", kw_only=True):
    """Uploads of coupons for a series, oldest first; to the upload itself, that one alone, and its name."""

    org_id: int
    coupon_series_id: int
    upload_job_statuses: list[UploadStatus]
    file_name: str | UnsetType = UNSET


class RedeemedUploads(Struct, frozen=True, rename="camel", kw_only=True):
    """Uploads of redemptions; the same otherwise."""

    org_id: int
    coupon_series_id: int
    redeem_upload_job_statuses: list[RedeemedUploadStatus]
    file_name: str | UnsetType = UNSET


Result = TypeVar("Result", Uploads, RedeemedUploads)


class UploadAnswer(Struct, Generic[Result], frozen=True, kw_only=True):
    """Success (README 4.3)."""

    success: Literal[True] = True
    status: int = 200
    result: Result


def coupon_uploads(org: Org, series_id: int, jobs: Sequence[Job], file_name: str | UnsetType = UNSET) -> Reply:
    """Uploads of coupons."""
    listed = [_coupon_upload(job, org.zone) for job in jobs]
    return _reply(Uploads(org_id=org.id, coupon_series_id=series_id, upload_job_statuses=listed, file_name=file_name))


def redeemed_uploads(org: Org, series_id: int, jobs: Sequence[Job], file_name: str | UnsetType = UNSET) -> Reply:
    """Uploads of redemptions."""
    listed = [_redeemed_upload(job, org.zone) for job in jobs]
    return _reply(
        RedeemedUploads(org_id=org.id, coupon_series_id=series_id, redeem_upload_job_statuses=listed, file_name=file_name)
    )


def _reply(result: Uploads | RedeemedUploads) -> Reply:
    return Reply(200, msgspec.json.encode(UploadAnswer(result=result)))


def _coupon_upload(job: Job, zone: ZoneInfo) -> UploadStatus:
    return UploadStatus(
        job_id=job.id,
        upload_status=_STATES[job.state],
        created_on=str(job.created_ms),
        updated_on=str(job.updated_ms),
        error_file_url=_errors(job),
        uploaded_file_url=job.request["uploadedName"],
        total_uploaded_count=job.done,
        actual_row_count=job.total or 0,
        error_count=job.failed,
        upload_table_name=_table(job, zone),
        uploaded_file_name=job.request["sentName"],
    )


def _redeemed_upload(job: Job, zone: ZoneInfo) -> RedeemedUploadStatus:
    done = job.file(FileRole.DONE)
    return RedeemedUploadStatus(
        job_id=job.id,
        upload_redeemed_coupon_status=_REDEEMED_STATES[job.state],
        created_on=str(job.created_ms),
        updated_on=str(job.updated_ms),
        error_file_url=_errors(job),
        success_file_url=done.name if done else None,
        uploaded_file_url=job.request["uploadedName"],
        total_uploaded_count=job.done,
        actual_row_count=job.total or 0,
        error_count=job.failed,
        upload_table_name=_table(job, zone),
        uploaded_file_name=job.request["sentName"],
    )


def _errors(job: Job) -> str | None:
    errors = job.file(FileRole.ERRORS)
    return errors.name if errors and job.failed else None


def _table(job: Job, zone: ZoneInfo) -> str | None:
    """The name that the incumbent's temporary table would have: `temp_<org>_<YYYYMMDD>_<HHMMSSmmm>`, once the job has begun."""
    if job.state is JobState.QUEUED and job.run == 1:
        return None
    seconds, ms = divmod(job.created_ms, 1000)
    return f"temp_{job.org_id}_{datetime.fromtimestamp(seconds, zone):%Y%m%d_%H%M%S}{ms:03}"
