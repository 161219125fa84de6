"""The composition root: settings in, a running server out. Nothing else knows everybody."""

import secrets
import time
from dataclasses import replace

import structlog

from couponry import telemetry
from couponry.api import server
from couponry.api.app import App, Parts, application
from couponry.api.attribution import Attribution
from couponry.api.authentication import Authenticator
from couponry.api.tokens import Tokens
from couponry.ledger import Ledger, LedgerOptions
from couponry.settings import SettingInvalid, Settings
from couponry.store import migrate
from couponry.store.directory import Directory
from couponry.store.engine import Database

log = structlog.get_logger()


def now_ms() -> int:
    """The clock of the whole program: epoch milliseconds."""
    return time.time_ns() // 1_000_000


def serve(settings: Settings, *, host: str, port: int, workers: int, demo: bool) -> None:
    """Bring the database up to date and answer requests until told to stop. Raises AddressTaken, SettingInvalid."""
    logging = telemetry.configure_logging(settings.log_level)
    if settings.secret_key is None:
        if not demo:
            raise SettingInvalid("COUPONRY_SECRET_KEY must be set, except with --demo")
        settings = replace(settings, secret_key=secrets.token_hex(32))
    port = server.claimed_port(host, port)
    database = Database(settings.database_url, connections=1)
    migrate.upgrade(database)
    is_sqlite = database.is_sqlite
    database.close()
    if is_sqlite and workers > 1:
        log.warning("one_writer", workers=workers, reason="SQLite has one writer, which all workers share")
    log.info("listening", url=f"http://{host}:{port}", workers=workers)
    server.serve(lambda: worker(settings), host=host, port=port, workers=workers, logging=logging)


def worker(settings: Settings) -> App:
    """One worker process's application, with connections and threads of its own."""
    assert settings.secret_key, "serve sees to it"
    metrics = telemetry.Metrics()
    options = LedgerOptions(
        write_lanes=settings.write_lanes,
        queue_commands_max=settings.queue_commands_max,
        request_budget_ms=settings.request_budget_ms,
        on_batch=metrics.batch,
    )
    ledger = Ledger(settings.database_url, now_ms, options)
    metrics.gauge("in_flight", "commands submitted to the ledger and not yet answered", lambda: ledger.in_flight)
    directory = Directory(Database(settings.database_url, connections=2))
    tokens = Tokens(settings.secret_key, now_ms)
    return application(
        Parts(
            ledger=ledger,
            authenticator=Authenticator(directory, tokens, now_ms, settings.trusted_proxies),
            attribution=Attribution(directory, now_ms),
            tokens=tokens,
            metrics=metrics,
            request_ids=telemetry.RequestIds(secrets.token_hex(6)),
            rate_limits=settings.rate_limits,
            on_stop=directory.close,
        )
    )
