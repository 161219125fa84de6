"""What an operator sees of a running server: logs, metrics and request ids.

A log line is one JSON object on standard error (or a readable line, on a terminal). It names orgs, tills, codes and request ids;
never a secret, a full mobile or an e-mail. A request that succeeds leaves no line at the default level: it leaves numbers.
"""

import logging
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any, Final, TextIO, cast

import msgspec
import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from couponry.core.limits import REQUEST_ID_CHARS_MAX

# Seconds. The goal for one redeem is a median of 2 ms and a 99th percentile of 8 ms (design 5).
BUCKETS_S: Final = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_REQUEST_ID_BYTES: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"


class _Unfailing:
    """A stream whose writes may be lost but never fail: a full disk under the log must not end a lane or a request."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, or lose it."""
        with suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush, or lose what was to be flushed."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def configure_logging(level: str) -> dict[str, Any]:
    """Set up structured logs for this process; returns the same as a `logging.config` for libraries that log the standard way."""
    is_terminal = sys.stderr.isatty()
    renderer = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if is_terminal
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *([] if is_terminal else [structlog.processors.format_exc_info]),
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Unfailing(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    formatter = {"()": structlog.stdlib.ProcessorFormatter, "processor": renderer, "foreign_pre_chain": shared}
    handler = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "structured"}
    return {
        "formatters": {"structured": formatter},
        "handlers": {"console": handler},
        "loggers": {"_granian": {"handlers": ["console"], "level": "WARNING", "propagate": False}},
        "root": {"handlers": ["console"], "level": "WARNING"},
    }


def _json(event: Any, **_options: Any) -> str:  # noqa: ANN401 - structlog's own signature
    return msgspec.json.encode(event, enc_hook=repr).decode()


class RequestIds:
    """Ids of requests: the client's own if it is usable, else a prefix of this process and a number (README 5)."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._numbers = count(1)

    def take(self, sent: bytes | None) -> str:
        """Echo 1-64 of `[A-Za-z0-9._-]`, else make a new one."""
        if sent and len(sent) <= REQUEST_ID_CHARS_MAX and not sent.translate(None, _REQUEST_ID_BYTES):
            return sent.decode()
        return f"{self._prefix}-{next(self._numbers):x}"


class Metrics(Collector):
    """Counters of this process, kept as plain numbers so that a request pays half a microsecond; scraping does the work.

    Requests are counted on the event loop, batches each on their own lane's thread; no counter has two writers.
    """

    def __init__(self) -> None:
        self._requests: dict[tuple[str, int], _Durations] = {}
        self._batches: dict[str, list[int]] = {}
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self._registry = CollectorRegistry()
        for collector in (self, ProcessCollector(registry=None), PlatformCollector(registry=None)):
            self._registry.register(collector)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        durations = self._requests.get((route, status))
        if durations is None:
            durations = self._requests[route, status] = _Durations()
        durations.add(seconds)

    def batch(self, lane: str, commands: int) -> None:
        """Count one batch of a ledger lane."""
        counts = self._batches.setdefault(lane, [0, 0])
        counts[0] += 1
        counts[1] += commands

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show a number that is asked for at each scrape."""
        self._gauges[name] = (meaning, read)

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What prometheus_client asks for at each scrape."""
        durations = HistogramMetricFamily(
            "couponry_request_seconds", "time to answer a request, by route and HTTP status", labels=("route", "status")
        )
        for (route, status), seen in tuple(self._requests.items()):
            durations.add_metric((route, str(status)), *seen.cumulative())
        batches = CounterMetricFamily("couponry_batches", "ledger batches, by lane", labels=("lane",))
        commands = CounterMetricFamily("couponry_batched_commands", "commands in ledger batches, by lane", labels=("lane",))
        for lane, (batch_count, command_count) in tuple(self._batches.items()):
            batches.add_metric((lane,), batch_count)
            commands.add_metric((lane,), command_count)
        yield from (durations, batches, commands)
        for name, (meaning, read) in self._gauges.items():
            yield GaugeMetricFamily(f"couponry_{name}", meaning, read())

    def describe(self) -> list[Metric]:
        """Nothing beforehand: names are known at the first scrape."""
        return []


class _Durations:
    """A histogram of seconds."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.total_s += seconds

    def cumulative(self) -> tuple[list[tuple[str, float]], float]:
        bounds = (*(str(bound) for bound in BUCKETS_S), "+Inf")
        below = 0
        buckets: list[tuple[str, float]] = []
        for bound, number in zip(bounds, tuple(self.counts), strict=True):
            below += number
            buckets.append((bound, below))
        return buckets, self.total_s
