"""A database with an org, its till and its data, made with the commands that an operator has."""

from dataclasses import dataclass
from pathlib import Path

from bench.data import ISSUE_SERIES, PASSWORD, TILL, Coupons, Size, write_customers, write_series
from bench.server import Couponry


@dataclass(frozen=True)
class Installation:
    """What requests and pgbench must know of it."""

    couponry: Couponry
    org_id: int
    till_id: int
    store_id: int
    size: Size
    folder: Path

    def add(self, coupons: Coupons) -> Coupons:
        """Import a batch of coupons."""
        path = self.folder / f"coupons-{coupons.name}.csv"
        coupons.write_csv(path)
        self._import("coupons", path, coupons.count)
        return coupons

    @property
    def issue_series_id(self) -> int:
        """The series that coupons are issued of."""
        return self.couponry.series_id(self.org_id, ISSUE_SERIES)

    def _import(self, what: str, path: Path, rows: int) -> None:
        said = self.couponry.run("import", what, str(path), "--org", str(self.org_id))
        if said["imported"] != rows or said["failed"]:
            raise RuntimeError(f"the import of {rows} {what} went wrong: {said}")
        path.unlink()

    def add_people_and_series(self) -> None:
        """Import the customers and the series that coupons are for."""
        path = self.folder / "customers.csv"
        write_customers(path, self.size)
        self._import("customers", path, self.size.customers)
        path = self.folder / "series.csv"
        write_series(path, self.size)
        self._import("series", path, self.size.series + 2)


def installed(database_url: str, folder: Path, size: Size) -> Installation:
    """An installation with `size` of everything."""
    couponry = Couponry(database_url, folder / "couponry.log")
    couponry.run("db", "upgrade")
    org_id = int(couponry.run("org", "create", "--name", "Bench", "--timezone", "Asia/Kolkata", "--currency", "INR")["orgId"])
    till = couponry.run("till", "create", "--org", str(org_id), "--code", TILL, "--password", PASSWORD, "--store", "bench-store")
    made = Installation(couponry, org_id, int(till["tillId"]), int(till["storeId"]), size, folder)
    made.add_people_and_series()
    made.add(Coupons("BASE", size.coupons, size))
    couponry.settle()
    return made
