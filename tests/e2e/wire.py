"""HTTP as many tills speak it at once: bytes over sockets, and for every request what was told about it."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from hashlib import md5
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

HOST: Final = "127.0.0.1"
TILL: Final = "till1"
PASSWORD: Final = "123"
LOST: Final = (OSError, asyncio.IncompleteReadError)
"""What a connection raises when the other side is gone."""
ENOUGH_S: Final = 60
SERVICE_FAILED: Final = 500


def is_ready(port: int) -> bool:
    with closing(HTTPConnection(HOST, port, timeout=5)) as connection:
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False


@dataclass(frozen=True)
class Reply:
    """An answer as it came."""

    http: int
    headers: dict[str, str]
    body: Any

    @property
    def code(self) -> int:
        """The code of the request as a whole."""
        told: int = (self.body.get("redemptionStatus") or self.body["errors"][0])["code"]
        return told

    @property
    def codes(self) -> list[int]:
        """The code of each coupon."""
        return [item["redemptionStatus"]["code"] for item in self.body["redemption"]]

    @property
    def replayed(self) -> str:
        return self.headers.get("idempotency-replayed", "")

    @property
    def redeemed(self) -> list[tuple[int, str, int]]:
        """(redemption, code, customer) of every coupon that it says is redeemed."""
        if self.http != 200 or self.code != 700:
            return []
        customer_id = int(self.body["customer"]["id"])
        return [(int(item["redemptionId"]), item["code"], customer_id) for item in self.body["redemption"]]


@dataclass(frozen=True)
class Request:
    """One request of the till, named so that its reply can be found again."""

    name: str
    sent: bytes

    def ask(self, port: int) -> Reply:
        """The reply, over a connection of its own."""
        (reply,) = at_once(port, [self])
        return reply


def redeem(
    *codes: str, customer: int = 0, number: str = "", key: str = "", path: str = "/v2/coupon/redeem", till: str = TILL
) -> Request:
    """Redeem codes for the customer of that number; the bill's number names the request."""
    body = {
        "redemptionRequestList": [{"code": code} for code in codes],
        "user": {"externalId": customer_id(customer)},
        "transactionNumber": number,
        "billAmount": 100,
    }
    return request("POST", path, body, headers={"Idempotency-Key": key} if key else {}, name=number, till=till)


def check(code: str, customer: int = 0) -> Request:
    return request("GET", f"/v2/coupon/is_redeemable?code={code}&externalId={customer_id(customer)}")


def customer_id(number: int) -> str:
    """The external id of a customer."""
    return f"c{number:02}"


def request(
    method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, name: str = "", till: str = TILL
) -> Request:
    content = json.dumps(body).encode() if body is not None else b""
    credential = base64.b64encode(f"{till}:{md5(PASSWORD.encode()).hexdigest()}".encode()).decode()  # noqa: S324 - the protocol's own
    fields = {"Host": HOST, "Authorization": f"Basic {credential}", "Content-Length": str(len(content)), **(headers or {})}
    if content:
        fields["Content-Type"] = "application/json"
    head = "\r\n".join([f"{method} {path} HTTP/1.1", *(f"{field}: {value}" for field, value in fields.items())])
    return Request(name, head.encode() + b"\r\n\r\n" + content)


class Connection:
    """A connection that stays open from request to request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        """Raises OSError when nobody listens."""
        return cls(*await asyncio.open_connection(HOST, port))

    async def ask(self, request: Request) -> Reply:
        """Raises one of LOST when the reply does not come."""
        self._writer.write(request.sent)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await self._reader.readexactly(int(headers["content-length"]))
        return Reply(int(head[0].split()[1]), headers, json.loads(body) if body else None)

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


def at_once(port: int, requests: Sequence[Request]) -> list[Reply]:
    """All replies, in order; every request has a connection of its own, and none is sent before all are open."""
    return asyncio.run(asyncio.wait_for(asking(port, requests), ENOUGH_S))


async def asking(port: int, requests: Sequence[Request]) -> list[Reply]:
    connections = [await Connection.open(port) for _ in requests]
    try:
        return await asyncio.gather(*(one.ask(each) for one, each in zip(connections, requests, strict=True)))
    finally:
        for one in connections:
            await one.close()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that goes on meanwhile."""
    async with asyncio.timeout(ENOUGH_S):
        while not is_so():  # noqa: ASYNC110 - nobody could set an event: it happens in other processes
            await asyncio.sleep(0.005)


@dataclass
class Load:
    """Tills that ask on and on, each request once, over connections that they open again while anybody listens."""

    port: int
    requests: Iterator[Request]
    asked: dict[str, Request] = field(default_factory=dict)
    told: dict[str, Reply] = field(default_factory=dict)
    is_over: bool = False

    @property
    def in_doubt(self) -> list[Request]:
        """What was sent and never answered."""
        return [request for name, request in self.asked.items() if name not in self.told]

    @property
    def failed(self) -> list[Request]:
        """What the service could not decide, by its own word."""
        return [self.asked[name] for name, reply in self.told.items() if reply.http >= SERVICE_FAILED]

    async def run(self, connections: int) -> None:
        """Until it is over, or until nobody listens any more."""
        await asyncio.gather(*(self._till() for _ in range(connections)))

    def count(self, code: int) -> int:
        """How many requests were told that."""
        return sum(reply.code == code for reply in self.told.values())

    async def _till(self) -> None:
        while not self.is_over:
            try:
                connection = await Connection.open(self.port)
            except OSError:
                return
            try:
                await self._ask_on(connection)
            finally:
                await connection.close()

    async def _ask_on(self, connection: Connection) -> None:
        while not self.is_over:
            request = next(self.requests)
            self.asked[request.name] = request
            try:
                reply = await connection.ask(request)
            except LOST:
                return
            self.told[request.name] = reply
            if reply.headers.get("connection", "").lower() == "close":
                return
