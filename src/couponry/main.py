"""The composition root: settings in, a running server out. Nothing else knows everybody."""

import gc
import logging.config
import multiprocessing
import os
import secrets
import sys
import time
import uuid
from collections.abc import Callable, Coroutine
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any, Final

import structlog

from couponry import telemetry
from couponry.api import server
from couponry.api.app import App, Receive, Send, application
from couponry.api.attribution import Attribution
from couponry.api.authentication import Authenticator
from couponry.api.gate import DEMO_MAILBOX
from couponry.api.hooks import Issuing, Redeeming
from couponry.api.parts import Parts
from couponry.api.tokens import Tokens
from couponry.api.v1_1.wire import Wires
from couponry.console import app as console_app
from couponry.console.pages import ROOT as CONSOLE
from couponry.console.parts import ConsoleParts
from couponry.core import limits
from couponry.core.fan_out import FanOut
from couponry.core.roles import ROLES
from couponry.core.validation import Vault
from couponry.ledger import Ledger, LedgerOptions
from couponry.outbound import Sender, Signer
from couponry.outbound.gateways import Gateways
from couponry.settings import SettingInvalid, Settings
from couponry.store import demo as demo_data
from couponry.store import migrate
from couponry.store.back_office import BackOffice
from couponry.store.directory import Directory
from couponry.store.engine import Database
from couponry.store.folder import Folder
from couponry.store.neighbours import WORKER
from couponry.store.password_checks import PasswordChecks
from couponry.store.presence import Ownership, Presence
from couponry.store.reminders import Notices
from couponry.store.webhooks import Names
from couponry.worker.housekeeping import Housekeeping
from couponry.worker.kinds import works
from couponry.worker.launches import Launches
from couponry.worker.process import beside
from couponry.worker.reminders import Reminders
from couponry.worker.runner import Runner
from couponry.worker.work import Desk

_TRY_IT: Final = """\
Couponry answers at {url}
Demo till: {till}, password {password} (sent as its MD5, {secret})

# check
curl -u {till}:{secret} '{url}/v2/coupon/is_redeemable?code={code}&mobile={mobile}'
# redeem
curl -u {till}:{secret} {url}/v2/coupon/redeem -H 'Content-Type: application/json' -d '{body}'
# redeem again: refused, because the coupon is used
curl -u {till}:{secret} {url}/v2/coupon/redeem -H 'Content-Type: application/json' -d '{body}'
# issue, and see the SMS at {url}{mailbox} ("email":"{email}" instead of the mobile: an e-mail with a QR code)
curl -u {till}:{secret} {url}/v2/coupon/issue -H 'Content-Type: application/json' -d '{issue}'
"""
_CONSOLE: Final = """\

Console: {url}{root}/
Sign in as {admin} (everything), {marketer}, {support} or {auditor}; password: {password}
"""
_BODY: Final = (
    '{{"redemptionRequestList":[{{"code":"{code}"}}],"user":{{"mobile":"{mobile}"}},"transactionNumber":"","billAmount":1800}}'
)
_ISSUE: Final = '{{"seriesId":{series_id},"customer":{{"mobile":"{mobile}"}}}}'

WORKER_NICENESS: Final = 10
"""Background work waits for a processor that a request wants."""

log = structlog.get_logger()


def now_ms() -> int:
    """The clock of the whole program: epoch milliseconds."""
    return time.time_ns() // 1_000_000


def serve(settings: Settings, *, host: str, port: int, workers: int, demo: bool, with_worker: bool = True) -> None:
    """Bring the database up to date and answer requests until told to stop. Raises AddressTaken, SettingInvalid.

    `workers` are server processes; `with_worker` adds the one for background work.
    """
    log_config = telemetry.configure_logging(settings.log_level)
    if settings.secret_key is None:
        if not demo:
            raise SettingInvalid("COUPONRY_SECRET_KEY must be set, except with --demo")
        settings = replace(settings, secret_key=secrets.token_hex(32))
    port = server.claimed_port(host, port)
    database = Database(settings.database_url, connections=1)
    migrate.upgrade(database)
    offer = demo_data.offer(database, now_ms()) if demo else None
    if database.is_sqlite and workers > 1:
        log.warning("one_writer", workers=workers, reason="SQLite has one writer, which all workers share")
    database.close()
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    nobody_said_so = multiprocessing.get_context("fork").Semaphore(1)  # workers share it

    async def announce() -> None:
        await server.answering(host, port)
        if nobody_said_so.acquire(block=False):
            log.info("listening", url=url, workers=workers)
            if offer:
                sys.stdout.write(_how_to_try(offer, url))
                sys.stdout.flush()

    with beside(settings.environ) if with_worker else nullcontext():
        server.serve(lambda: worker(settings, announce, is_demo=demo), host=host, port=port, workers=workers, logging=log_config)


def work(settings: Settings, lifeline: int | None = None) -> None:
    """Do background work until told to stop, or until the pipe `lifeline` ends. Raises OneIsThere, SettingInvalid."""
    # DBOS, Apprise and aiohttp, which the server does not need.
    from couponry.worker.delivery.deliverer import Deliverer, DelivererParts  # noqa: PLC0415 - as said above
    from couponry.worker.worker import Worker  # noqa: PLC0415 - as said above

    logging.config.dictConfig({"version": 1, **telemetry.configure_logging(settings.log_level)})
    if settings.secret_key is None:
        raise SettingInvalid("COUPONRY_SECRET_KEY must be set")
    with suppress(OSError):
        os.nice(WORKER_NICENESS)
    _collect_garbage_rarely()
    secret = settings.secret_key.encode()
    connections = limits.JOBS_AT_ONCE + 2 + limits.DELIVERY_STORE_THREADS
    database = Database(settings.database_url, connections=connections, is_keyed=True, name=WORKER, has_one_writer=True)
    desk = Desk(database, Folder(settings.files_dir), now_ms, secret)
    presence = Presence(Database(settings.database_url, connections=1), secrets.token_hex(8))
    deliverer = Deliverer(
        DelivererParts(
            database=database,  # the same, or jobs would take what it writes for a till's, and go slowly
            ownership=Ownership(Database(settings.database_url, connections=1)),
            fan_out=FanOut(Vault(secret), single_coupon_only=settings.events_single_coupon_only),
            vault=Vault(secret),
            signer=Signer(secret),
            allowed=settings.allowed_private_networks,
            clock=now_ms,
            chance=secrets.SystemRandom().random,
        )
    )
    reminders = Reminders(database, Notices(database.dialect), now_ms)
    housekeeping = Housekeeping(desk, settings.files_kept_days)
    runner, launches = Runner(database, works(desk), now_ms), Launches(database, now_ms)
    Worker(runner, deliverer, reminders, housekeeping, launches, presence, settings.database_url).run(lifeline)


def _how_to_try(offer: demo_data.Offer, url: str) -> str:
    sent = {"code": offer.code, "mobile": offer.mobile, "series_id": offer.series_id}
    bodies = {"body": _BODY.format(**sent), "issue": _ISSUE.format(**sent)}
    login = {"till": offer.till, "password": demo_data.PASSWORD, "secret": offer.secret}
    tried = _TRY_IT.format(url=url, mailbox=DEMO_MAILBOX, email=offer.email, **login, **bodies, **sent)
    people = {role: demo_data.email_of(role) for role in ROLES}
    return tried + _CONSOLE.format(url=url, root=CONSOLE, password=demo_data.CONSOLE_PASSWORD, **people)


async def _silence() -> None:
    """Announce nothing."""


def _share_the_interpreter() -> None:
    """Let the event loop and the lanes take turns."""
    sys.setswitchinterval(limits.SWITCH_INTERVAL_S)
    _collect_garbage_rarely()


def _collect_garbage_rarely() -> None:
    """Requests and chunks leave next to no cycles behind."""
    gc.freeze()
    gc.set_threshold(limits.GC_ALLOCATIONS)


def worker(
    settings: Settings,
    announce: Callable[[], Coroutine[Any, Any, None]] = _silence,
    clock: Callable[[], int] = now_ms,
    *,
    is_demo: bool = False,
) -> "Site":
    """One worker process's application, with connections and threads of its own; `announce` runs once it has started."""
    assert settings.secret_key, "serve sees to it"
    _share_the_interpreter()
    metrics = telemetry.Metrics()
    options = LedgerOptions(
        write_lanes=settings.write_lanes,
        queue_commands_max=settings.queue_commands_max,
        request_budget_ms=settings.request_budget_ms,
        on_batch=metrics.batch,
        secret=settings.secret_key.encode(),
    )
    ledger = Ledger(settings.database_url, clock, options)
    metrics.gauge("in_flight", "commands submitted to the ledger and not yet answered", lambda: ledger.in_flight)
    directory = Directory(Database(settings.database_url, connections=2))
    tokens = Tokens(settings.secret_key, clock)
    back_office = BackOffice(Database(settings.database_url, is_keyed=True))
    signer = Signer(settings.secret_key.encode())
    sender = Sender(signer, settings.allowed_private_networks, clock, secrets.SystemRandom().random)
    parts = Parts(
        ledger=ledger,
        issuing=Issuing(ledger, Gateways(settings.allowed_private_networks, clock)),
        redeeming=Redeeming(ledger, back_office, sender, lambda: secrets.token_hex(12)),
        authenticator=Authenticator(directory, tokens, clock, settings.trusted_proxies, options.secret),
        attribution=Attribution(directory, clock),
        tokens=tokens,
        vault=Vault(options.secret),
        signer=signer,
        allowed_networks=settings.allowed_private_networks,
        folder=Folder(settings.files_dir),
        wires=Wires(code_as_string=settings.v11_code_as_string, http_always_200=settings.v11_http_always_200),
        back_office=back_office,
        clock=clock,
        new_code=lambda: secrets.token_hex(5).upper(),
        new_validation_code=lambda: f"{secrets.randbelow(10**limits.VALIDATION_CODE_DIGITS):0{limits.VALIDATION_CODE_DIGITS}}",
        new_webhook_names=lambda: Names(secrets.token_hex(12), str(uuid.uuid4())),
        is_demo=is_demo,
        metrics=metrics,
        request_ids=telemetry.RequestIds(secrets.token_hex(6)),
        rate_limits=settings.rate_limits,
        announce=announce,
        on_stop=directory.close,
    )
    return Site(application(parts), console_app.application(_for_console(parts, settings, options.secret)))


def _for_console(parts: Parts, settings: Settings, secret: bytes) -> ConsoleParts:
    """The console's parts: those of the API, and a few of its own."""
    return ConsoleParts(
        ledger=parts.ledger,
        back_office=parts.back_office,
        folder=parts.folder,
        passwords=PasswordChecks(parts.clock),
        vault=parts.vault,
        signer=parts.signer,
        secret=secret,
        metrics=parts.metrics,
        request_ids=parts.request_ids,
        clock=parts.clock,
        new_token=lambda: secrets.token_urlsafe(32),
        new_code=parts.new_code,
        new_webhook_names=parts.new_webhook_names,
        allowed_networks=settings.allowed_private_networks,
        trusted_proxies=settings.trusted_proxies,
        is_demo=parts.is_demo,
    )


class Site:
    """What a worker serves: the console below its path, the API everywhere else, and the API's beginning and end for both."""

    def __init__(self, api: App, console: console_app.ConsoleApp) -> None:
        self.api = api
        self._console = console

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, or start and stop."""
        is_console = scope["type"] == "http" and (scope["path"] == CONSOLE or scope["path"].startswith(f"{CONSOLE}/"))
        await (self._console if is_console else self.api)(scope, receive, send)
