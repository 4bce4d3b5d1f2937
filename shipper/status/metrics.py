"""A snapshot of an agent or a receiver as Prometheus metrics. Labels are inputs, pipelines, tags and outcomes: few, never files."""

from __future__ import annotations

import platform
import time
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from shipper import __version__
from shipper.errors import StateError
from shipper.state.reading import rejects_kept
from shipper.status.server import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from prometheus_client import Metric

    from shipper.lumberjack.traffic import Traffic
    from shipper.progress import Snapshot

COUNTED = 30.0
"""Seconds between counts of the rejects."""


class Metrics(Collector):
    """The page ``/metrics``. ``latest`` gives the newest snapshot; it is called in the server's thread."""

    def __init__(self, latest: Callable[[], Snapshot], state: Path | None = None) -> None:
        """``state`` is the agent's database, for the rejects."""
        self._latest = latest
        self._state = state
        self._kept: tuple[int, int] | None = None
        self._kept_at = 0.0
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def page(self) -> Answer:
        """In Prometheus' text format."""
        return Answer(200, CONTENT_TYPE_LATEST, generate_latest(self._registry))

    def describe(self) -> list[Metric]:
        """Nothing: the registry need not collect to know the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics of the newest snapshot."""
        snapshot, now = self._latest(), time.monotonic()
        yield InfoMetricFamily(
            "shipper_build",
            "Which program this is.",
            value={"version": __version__, "python": platform.python_version()},
        )
        yield _gauge("shipper_status_age_seconds", "The age of all these numbers: the loop stands still when it grows.", now - snapshot.at)  # fmt: skip
        yield from _inputs(snapshot)
        yield from _delivery(snapshot, now)
        if kept := self._rejects(now):
            yield _gauge("shipper_rejects", "Rejected documents that are kept, until somebody replays or drops them.", kept[0])  # fmt: skip
            yield _gauge("shipper_rejects_bytes", "What they take of the disk; nothing bounds it.", kept[1])
        if snapshot.traffic:
            yield from _traffic(snapshot.traffic)

    def _rejects(self, now: float) -> tuple[int, int] | None:
        """How many there are, and their bytes, counted at most twice a minute; ``None`` when nobody can say."""
        if self._state is None or (self._kept_at and now - self._kept_at < COUNTED):
            return self._kept
        self._kept_at = now
        try:
            self._kept = rejects_kept(self._state)
        except StateError:
            self._kept = None
        return self._kept


def _inputs(snapshot: Snapshot) -> Iterator[Metric]:
    gauges = (
        ("files_open", "Open files.", "files"),
        ("files_unreadable", "Paths that were asked for and cannot be read.", "unreadable"),
        ("lag_bytes", "Bytes of the open files that the output has not acknowledged.", "lag_bytes"),
        ("lag_seconds", "The age of the oldest byte that is not acknowledged.", "lag_seconds"),
    )
    for name, text, attribute in gauges:
        gauge = GaugeMetricFamily(f"shipper_{name}", text, labels=["input"])
        for each in snapshot.inputs:
            gauge.add_metric([each.name], getattr(each, attribute))
        yield gauge
    lost = CounterMetricFamily("shipper_lost_bytes", "Bytes of files that were given up before they were read.", labels=["input"])  # fmt: skip
    deleted = CounterMetricFamily("shipper_files_deleted", "Files that were deleted because they were complete.", labels=["input"])  # fmt: skip
    events = CounterMetricFamily("shipper_events", "Events that were read.", labels=["input"])
    outcomes = CounterMetricFamily("shipper_events_not_sent", "Events that become no document.", labels=["input", "reason"])  # fmt: skip
    unparsed = CounterMetricFamily("shipper_parse_failures", "Events that a filter has tagged as failed, by its tag; they are shipped whole.", labels=["input", "pipeline", "tag"])  # fmt: skip
    for each in snapshot.inputs:
        lost.add_metric([each.name], each.lost_bytes)
        deleted.add_metric([each.name], each.deleted)
        events.add_metric([each.name], each.events.events)
        outcomes.add_metric([each.name, "dropped"], each.events.dropped)
        outcomes.add_metric([each.name, "skipped"], each.events.skipped)
        for tag, count in sorted(each.events.failures.items()):
            unparsed.add_metric([each.name, each.pipeline, tag], count)
    yield from (lost, deleted, events, outcomes, unparsed)


def _delivery(snapshot: Snapshot, now: float) -> Iterator[Metric]:
    documents = snapshot.documents
    outcomes = CounterMetricFamily("shipper_documents", "What became of the documents; each is in one of these.", labels=["output", "outcome"])  # fmt: skip
    counts = {
        "created": documents.delivered - documents.duplicates - documents.failure_store,
        "duplicate": documents.duplicates,
        "failure_store": documents.failure_store,
        "rejected": documents.rejected,
    }
    for outcome, count in counts.items():
        outcomes.add_metric([snapshot.output, outcome], count)
    yield outcomes
    retries = CounterMetricFamily("shipper_retries", "Documents that were sent once more.", labels=["output"])
    retries.add_metric([snapshot.output], documents.retries)
    yield retries
    up = GaugeMetricFamily("shipper_output_up", "Whether the output takes documents: 1 or 0.", labels=["output"])
    up.add_metric([snapshot.output], not snapshot.trouble)
    yield up
    yield _gauge("shipper_output_trouble_seconds", "For how long the output has taken nothing.", now - snapshot.trouble_since if snapshot.trouble else 0.0)  # fmt: skip
    yield _gauge("shipper_last_success_timestamp_seconds", "When the output last took something; 0 for never.", snapshot.success)  # fmt: skip
    yield _gauge("shipper_queue_bytes", "Documents that wait in memory.", snapshot.queue_bytes)
    yield _gauge("shipper_queue_limit_bytes", "How many may: then reading stops.", snapshot.queue_limit)
    yield _gauge("shipper_spool_bytes", "Documents that wait on disk.", snapshot.spool_bytes)
    yield _gauge("shipper_spool_limit_bytes", "How many may; 0 without a spool.", snapshot.spool_limit)
    yield CounterMetricFamily("shipper_spool_damaged_documents", "Documents on disk that could not be read again.", value=snapshot.spool_damaged)  # fmt: skip
    yield _gauge("shipper_state_up", "Whether the agent can write its own state: 1 or 0.", not snapshot.state)
    yield _gauge("shipper_settings_in_use", "Whether the settings file is in use as it was at the last reload: 1 or 0.", not snapshot.settings)  # fmt: skip
    yield CounterMetricFamily("shipper_reloads", "Reloads that were applied.", value=snapshot.reloads)


def _traffic(traffic: Traffic) -> Iterator[Metric]:
    yield _gauge("shipper_clients", "Connections of clients that are open.", traffic.connections)
    yield CounterMetricFamily("shipper_clients_accepted", "Connections that were accepted.", value=traffic.accepted)
    yield CounterMetricFamily("shipper_clients_refused", "Connections that were closed for a limit, or for what they sent.", value=traffic.refused)  # fmt: skip
    yield CounterMetricFamily("shipper_received_events", "Events that came.", value=traffic.events)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
