"""What rows of uploaded files are told, read from the files that tell of them."""

import csv
from contextlib import closing
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final

from couponry.core.status import Code
from couponry.store.engine import Database
from couponry.store.folder import Folder
from tests.api.holdings import series_id
from tests.api.shop import MIRA, NOW_MS
from tests.api.upload.forms import HEADERS, PATH, USED_FORM
from tests.codes.scene import Reach, Scene, Told
from tests.worker.desk import Office

HEADER: Final = "redeemedDateInMillis,redeemedAt,mobile,couponCode,billId,billNumber,details"


def recorded(scene: Scene) -> Told:
    """What a redemption made elsewhere is told: handed in, recorded by a worker, and read from the file of what was done."""
    code = scene.coupon()
    series = series_id(scene.shop, scene.last_series)
    row = f"{NOW_MS - 1},{scene.shop.till_id},{MIRA['mobile']},{code},7,B-7,none"
    with TemporaryDirectory() as files, scene.shop.front(files_dir=Path(files)) as front:
        sent = {"file": ("used.csv", f"{HEADER}\r\n{row}\r\n".encode(), "text/csv")}
        form = {**USED_FORM, "uploadHeaders": HEADERS}
        answer = front.ask("POST", f"{PATH}redeemFile/{series}", files=sent, data=form).json()
        job_id = answer["result"]["redeemUploadJobStatuses"][0]["jobId"]
        with closing(Database(scene.shop.database.url, is_keyed=True)) as database:
            Office(scene.shop, database, Folder(Path(files))).finish(job_id)
        listed = front.ask("GET", f"{PATH}getUploadRedeemedCouponStatus/{series}").json()
        (job,) = listed["result"]["redeemUploadJobStatuses"]
        assert (job["uploadRedeemedCouponStatus"], job["errorFileUrl"]) == ("COMPLETED", None)
        file = front.ask("GET", f"{PATH}files/{job['successFileUrl']}")
        (told,) = csv.DictReader(StringIO(file.text))
    return Told(file.status_code, int(told["status"]), told["message"], is_for_later=False)


UPLOADED: Final = MappingProxyType({Code.REDEMPTION_IMPORTED: Reach(200, recorded)})
