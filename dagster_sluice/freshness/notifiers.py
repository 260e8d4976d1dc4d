"""Who is told of late partitions: the log, a webhook, or anything that takes a list of notices."""

from __future__ import annotations

import json
import logging
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from dagster_sluice.errors import Culprit, SettingError, SluiceError
from dagster_sluice.freshness.notices import Notice, NoticeKind

__all__ = ["LogNotifier", "Notifier", "WebhookNotifier"]


@runtime_checkable
class Notifier(Protocol):
    """Tells notices to somebody.

    If it raises, nothing of the list counts as told, and all of it is tried again at the next look.

    Attributes:
        name: By which is remembered what it was told; stable, and not shared by different receivers.
    """

    @property
    def name(self) -> str:
        """By which is remembered what it was told."""
        ...

    def __call__(self, notices: Sequence[Notice]) -> None:
        """Tell them."""
        ...


class LogNotifier:
    """Writes each notice to Python's log: recoveries as information, what is late as a warning, escalations as an error.

    Args:
        logger: The name of the logger.
        name: By which is remembered what it was told.
    """

    def __init__(self, logger: str = "dagster_sluice.freshness", *, name: str = "log") -> None:
        self.name = name
        self._logger = logging.getLogger(logger)

    def __call__(self, notices: Sequence[Notice]) -> None:
        """Write them."""
        levels = {
            NoticeKind.LATE: logging.WARNING,
            NoticeKind.ESCALATED: logging.ERROR,
            NoticeKind.RECOVERED: logging.INFO,
        }
        for notice in notices:
            self._logger.log(levels[notice.kind], "%s", notice.text)


class WebhookNotifier:
    """Posts notices as JSON: ``{"text": …, "notices": [{"id", "kind", "table", "partition", …}]}``.

    What the environment says of address and headers is read when something is told, and is never logged: neither are
    they part of an error, which names the host only.

    Args:
        url: The address; or give ``url_env``.
        url_env: The environment variable that holds the address, if it is a secret.
        headers_env: By name of a header the environment variable that holds its value, such as
            ``{"Authorization": "HOOK_TOKEN"}``.
        timeout: Seconds to wait for an answer.
        name: By which is remembered what it was told.

    Raises:
        SettingError: There is no address, or two.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        url_env: str | None = None,
        headers_env: Mapping[str, str] | None = None,
        timeout: float = 10,
        name: str = "webhook",
    ) -> None:
        if (url is None) == (url_env is None):
            raise SettingError("A webhook needs an address: `url`, or the variable that holds it: `url_env`.")
        self.name = name
        self._url = url
        self._url_env = url_env
        self._headers_env = dict(headers_env or {})
        self._timeout = timeout
        if url is not None:
            _refuse(url, "url")

    def __repr__(self) -> str:
        return f"WebhookNotifier(name={self.name!r})"

    def __call__(self, notices: Sequence[Notice]) -> None:
        """Post them.

        Raises:
            SettingError: A variable is not set, or holds no address.
            SluiceError: The receiver does not answer, or with anything but success.
        """
        url = self._url if self._url is not None else _variable(self._url_env or "")
        _refuse(url, self._url_env or "url")
        headers = {name: _variable(variable) for name, variable in self._headers_env.items()}
        body = {"text": "\n".join(one.text for one in notices), "notices": [one.as_json() for one in notices]}
        request = urllib.request.Request(  # noqa: S310 (only http and https get here)
            url,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "User-Agent": "dagster-sluice", **headers},
            method="POST",
        )
        try:
            with _opener().open(request, timeout=self._timeout) as answer:
                answer.read(1)
        except urllib.error.HTTPError as failure:
            code = failure.code
            failure.close()
            raise _unsent(url, f"answered {code}.") from None
        except (urllib.error.URLError, OSError, ValueError) as failure:
            reason = getattr(failure, "reason", failure)
            # The reason may repeat the address; its kind does not.
            raise _unsent(url, f"did not answer: {type(reason).__name__}.") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Headers with secrets go to nobody but whom they were given for."""

    def redirect_request(self, *_given: object) -> None:
        return None


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_NoRedirect)


def _variable(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise SettingError(
            "A webhook cannot be used.", culprits=[Culprit(where=name, problem="is not set in the environment.")]
        )
    return value


def _refuse(url: str, where: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingError(
            "A webhook cannot be used.", culprits=[Culprit(where=where, problem="is no address of http or https.")]
        )


def _unsent(url: str, problem: str) -> SluiceError:
    host = urllib.parse.urlsplit(url).hostname or ""
    return SluiceError("Notices could not be sent.", culprits=[Culprit(where=host, problem=problem)])
