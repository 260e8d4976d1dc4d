"""Where events go: one call that returns when the event is delivered, and raises when it is not.

OpenLineage's own client does the sending. What it would do besides is left to the position in the event log: it does not
try again by itself, which would hold up those that wait for it, and it never takes an event that it has not delivered.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from openlineage.client import OpenLineageClient
from openlineage.client.serde import Serde
from openlineage.client.transport.file import FileConfig, FileTransport
from openlineage.client.transport.http import (
    ApiKeyTokenProvider,
    HttpConfig,
    HttpTransport,
    TokenProvider,
)

from dagster_sluice.embedded import redact
from dagster_sluice.errors import SettingError
from dagster_sluice.lineage.openlineage.compose import Event

__all__ = ["Deliver", "receiver", "status_of"]

Deliver = Callable[[Event], None]
_ONCE = {"total": 0, "read": 0, "connect": 0, "status": 0}
_UNSAFE = {"async_http": "returns before an event is delivered", "datadog": "may return before an event is delivered"}


def receiver(address: str | None, *, timeout: float) -> Deliver:
    """The call that delivers one event.

    Args:
        address: ``http://host:5000`` or ``https://…`` (an API key may stand in OPENLINEAGE_API_KEY), ``file:/path`` for a
            file with one event a line, ``console``; ``None`` for what OpenLineage's own settings say (``openlineage.yml``,
            ``OPENLINEAGE_URL``, ``OPENLINEAGE__TRANSPORT__…``).
        timeout: Seconds that an HTTP receiver has to answer.

    Raises:
        SettingError: The address is none of these, or the settings name a transport that may lose events.
    """
    if address is None:
        return _configured(timeout)
    parts = urlsplit(address)
    if address == "console":
        return _print
    if parts.scheme == "file" and parts.path.startswith("/"):
        path = Path(parts.path)
        if not path.parent.is_dir():
            raise SettingError(f"The lineage cannot be written to {path}: its directory is not there.")
        return FileTransport(FileConfig(log_file_path=str(path), append=True)).emit
    if parts.scheme in ("http", "https") and parts.hostname:
        key = os.environ.get("OPENLINEAGE_API_KEY")
        config = HttpConfig(
            url=address,
            timeout=timeout,
            retry=dict(_ONCE),
            auth=ApiKeyTokenProvider({"api_key": key}) if key else TokenProvider({}),
        )
        return _emitting(HttpTransport(config))
    raise SettingError(
        f"{redact(address)!r} is no receiver of lineage.",
        mend="Write http://host:port, https://host, file:/path/events.jsonl or console.",
    )


def _configured(timeout: float) -> Deliver:
    client = OpenLineageClient()
    transport = client.transport
    kind = transport.kind or ""
    if kind in _UNSAFE:
        raise SettingError(
            f"OpenLineage's transport {kind} {_UNSAFE[kind]}.", mend="Use http; a slow receiver slows no run down here."
        )
    if kind == "composite" and getattr(getattr(transport, "config", None), "continue_on_failure", True):
        raise SettingError(
            "OpenLineage's transport composite goes on when one of its receivers fails, and that one misses events.",
            mend="Set continue_on_failure to false, or give each receiver an openlineage_sensor of its own.",
        )
    if kind == "console" and not os.environ.get("OPENLINEAGE_CONFIG"):
        raise SettingError(
            "There is no receiver of lineage.",
            mend="Name one: openlineage_sensor(receiver=…), OPENLINEAGE_URL, or openlineage.yml.",
        )
    if isinstance(transport, HttpTransport):
        transport.config.retry = dict(_ONCE)
        transport.timeout = min(transport.timeout, timeout)
    return client.emit


def _emitting(transport: Any) -> Deliver:
    def deliver(event: Event) -> None:
        transport.emit(event)

    return deliver


def _print(event: Event) -> None:
    sys.stdout.write(f"{Serde.to_json(event)}\n")
    sys.stdout.flush()


def status_of(failure: BaseException) -> int | None:
    """The HTTP status with which a receiver has answered, if it has."""
    status = getattr(getattr(failure, "response", None), "status_code", None)
    return status if isinstance(status, int) else None
