"""Every status code that can be answered today is reached over HTTP. A code that gets lost fails here; a new one needs a way."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import copy
from typing import Final

import pytest

from couponry.core.status import Code
from couponry.store.engine import Database
from tests.api.shop import Shop
from tests.codes import failed
from tests.codes.customers import CUSTOMERS
from tests.codes.decided import DECIDED
from tests.codes.hooks import HOOKED
from tests.codes.issue import ISSUED
from tests.codes.lifecycle import CHANGED
from tests.codes.reads import READ
from tests.codes.scene import BOTH, Scene, Told
from tests.codes.series import SERIES
from tests.codes.uploads import UPLOADED
from tests.codes.v11 import V11, V11_FAILED
from tests.codes.v11_reads import READ_IN_V11
from tests.codes.validation import VALIDATED, VALIDATION_FAILED
from tests.databases import PostgresServer, fresh_postgresql

RULED: Final = {**DECIDED, **ISSUED, **CHANGED, **READ, **SERIES, **CUSTOMERS, **VALIDATED, **UPLOADED, **V11, **READ_IN_V11}
"""What rules decide, area by area."""
FAILED: Final = {**failed.FAILED, **HOOKED, **V11_FAILED, **VALIDATION_FAILED}


@pytest.fixture(scope="module", params=BOTH)
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One shop for all that changes nothing for others."""
    if request.param == "sqlite":
        path = Path(copy(request.getfixturevalue("migrated_sqlite"), tmp_path_factory.mktemp("codes")))
        url = f"sqlite:///{path}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = fresh_postgresql(server, request.getfixturevalue("migrated_postgresql"))
    with closing(Database(url)) as database:
        shop = Shop(database).open()
        with shop.front() as front:
            yield Scene(shop, front)


def expected(code: Code, http: int) -> Told:
    """Exactly this; the one text with a gap names the code as it was sent."""
    is_for_later = code.is_retryable or code is Code.RATE_LIMITED
    return Told(http, code.number, code.message.replace("{x}", "NoSuch"), is_for_later)


def test_table_is_complete() -> None:
    assert RULED.keys() | FAILED.keys() == {code for code in Code if not code.topic}
    assert not RULED.keys() & FAILED.keys()


@pytest.mark.parametrize("code", RULED, ids=lambda code: code.name)
def test_decided(scene: Scene, code: Code) -> None:
    reach = RULED[code]
    assert reach.happens(scene) == expected(code, reach.http)


@pytest.mark.parametrize(
    ("code", "database_kind"),
    [pytest.param(code, kind, id=f"{code.name}-{kind}") for code, reach in FAILED.items() for kind in reach.on],
    indirect=["database_kind"],
)
def test_failed(database: Database, code: Code) -> None:
    reach = FAILED[code]
    shop = Shop(database).open()
    with shop.front(**reach.settings) as front:
        assert reach.happens(Scene(shop, front)) == expected(code, reach.http)
