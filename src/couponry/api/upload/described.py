"""The upload operations as the OpenAPI document describes them."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from couponry.api.envelopes import UPLOADS, UploadFailure
from couponry.api.operation import GATE_HEADERS, Operation, Parameter
from couponry.api.upload.statuses import RedeemedUploads, UploadAnswer, Uploads
from couponry.core.status import Code

MULTIPART: Final = "multipart/form-data"
SentFile = Annotated[str, Meta(extra_json_schema={"contentMediaType": "text/csv"}, description="CSV in UTF-8 with a header")]
_SERIES: Final = Parameter("series_id", "path", "id of the series")


class CouponForm(Struct, rename="camel"):
    """A file of codes, of customers, or of both. The code is the other column of two."""

    file: SentFile
    customer_identifier: Annotated[str, Meta(pattern="^(MOBILE|EMAIL|EXTERNAL_ID|USER_ID|NOT_TAGGED)$")]
    customer_identifier_column: Annotated[str, Meta(pattern="^[0-9]{1,6}$")] = "0"


class RedeemedForm(Struct, rename="camel"):
    """A file of redemptions. `uploadHeaders` is a JSON object: the index of each column by its meaning."""

    file: SentFile
    customer_identifier: Annotated[str, Meta(pattern="^(MOBILE|EMAIL|EXTERNAL_ID|USER_ID)$")]
    coupon_identifier: Annotated[str, Meta(pattern="^COUPON_(ID|CODE)$")]
    upload_headers: str


COUPONS: Final = (
    Operation(
        f"{UPLOADS}file/{{series_id}}",
        "post",
        "Upload codes, customers to issue coupons to, or codes for customers; a job works on the file",
        UploadAnswer[Uploads],
        UploadFailure,
        CouponForm,
        (_SERIES, *GATE_HEADERS),
        body_type=MULTIPART,
        codes=(Code.SERIES_UNREADABLE,),
    ),
    Operation(
        f"{UPLOADS}getUploadStatus/{{series_id}}",
        "get",
        "What became of a series' uploads of coupons, oldest first",
        UploadAnswer[Uploads],
        UploadFailure,
        parameters=(_SERIES,),
        codes=(Code.SERIES_UNREADABLE,),
    ),
)
REDEEMED: Final = (
    Operation(
        f"{UPLOADS}redeemFile/{{series_id}}",
        "post",
        "Upload redemptions that were made elsewhere; a job works on the file",
        UploadAnswer[RedeemedUploads],
        UploadFailure,
        RedeemedForm,
        (_SERIES, *GATE_HEADERS),
        body_type=MULTIPART,
        codes=(Code.SERIES_UNREADABLE,),
    ),
    Operation(
        f"{UPLOADS}getUploadRedeemedCouponStatus/{{series_id}}",
        "get",
        "What became of a series' uploads of redemptions, oldest first",
        UploadAnswer[RedeemedUploads],
        UploadFailure,
        parameters=(_SERIES,),
        codes=(Code.SERIES_UNREADABLE,),
    ),
)
FILES: Final = (
    Operation(
        f"{UPLOADS}files/{{name}}",
        "get",
        "The rows of an upload that failed, and why; or those that were done",
        str,
        UploadFailure,
        parameters=(Parameter("name", "path", "errorFileUrl or successFileUrl of an upload", is_name=True),),
        content_type="text/csv",
    ),
)
