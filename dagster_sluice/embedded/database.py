"""Which database is in use: the one place that decides, and the one that says why it does not answer."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote

from dagster_sluice.embedded.server import EmbeddedPostgres
from dagster_sluice.errors import Culprit, DatabaseUnreachable, SettingError

__all__ = ["check_reachable", "database_url", "redact", "with_driver", "with_options"]

SETTING = "SLUICE_DATABASE_URL"
"""The environment variable that names a server of the user's own."""

_EXAMPLE = "postgresql://user:password@host:5432/database"
_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9.+_-]*)://")
_SECRETS = frozenset({"password", "sslpassword", "oauth_client_secret"})
_HIDDEN = "***"

_servers: dict[Path, EmbeddedPostgres] = {}
_servers_lock = threading.Lock()


def database_url(start: bool = True) -> str:
    """The URL of the database in use, in the plain form that libpq reads (``postgresql://…``).

    ``SLUICE_DATABASE_URL`` if it is set (``postgres://`` and ``+driver`` are accepted and brought to the plain form),
    else the database ``sluice`` of the embedded server.

    Args:
        start: Start the embedded server if need be, and hold a lease on it for the life of this process.

    Raises:
        SettingError: The setting is wrong; every fault is listed and no password is shown.
        EmbeddedServerError: The embedded server cannot be created or started.
    """
    named = os.environ.get(SETTING, "").strip()
    if named:
        return _Url.checked(named).render()
    server = EmbeddedPostgres()
    with _servers_lock:
        server = _servers.setdefault(server.directory, server)
    if start:
        server.acquire()
    return server.url()


def redact(url: str) -> str:
    """The URL without its passwords (in front of the host, or among the options), for logs and messages.

    Works on malformed URLs too, and hides rather too much than too little of them.
    """
    head, question, query = url.partition("?")
    # An unescaped "?" in the password looks like the start of the options.
    if question and ("@" not in head or not re.fullmatch(r"(?:[a-z_]+=[^&]*(?:&|$))*", query)) and "@" in query:
        head, question, query = url, "", ""
    head = re.sub(r"(?s)^([^:/]*://[^:@/]*):.*@", rf"\1:{_HIDDEN}@", head)
    names = "|".join(sorted(_SECRETS))
    query = re.sub(rf"(?i)((?:^|&)(?:{names})=)[^&]*", rf"\1{_HIDDEN}", query)
    if "://" not in url:
        return re.sub(rf"(?i)\b((?:{names})\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)", rf"\1{_HIDDEN}", url)
    return head + question + query


def with_driver(url: str, driver: str | None) -> str:
    """The same database for another reader: ``psycopg2`` or ``psycopg`` for SQLAlchemy, ``None`` for libpq's own form.

    Raises:
        SettingError: ``url`` is no PostgreSQL URL.
    """
    return _Url.checked(url, where="the URL").render(driver)


def with_options(url: str, options: Mapping[str, str | int], *, settings: Mapping[str, str | int] | None = None) -> str:
    """The URL with connection options set; the driver in its scheme, if any, stays.

    Args:
        url: A PostgreSQL URL, with or without ``+driver``.
        options: libpq parameters such as ``connect_timeout`` or ``application_name``; each replaces its former value.
        settings: Server settings for the session, such as ``{"synchronous_commit": "off"}``; added to those that the
            URL has in its ``options`` parameter.

    Raises:
        SettingError: ``url`` is no PostgreSQL URL.
    """
    parsed = _Url.checked(url, where="the URL")
    values = {**dict(parsed.options), **{name: str(value) for name, value in options.items()}}
    for name, value in (settings or {}).items():
        # libpq splits the parameter at spaces; a backslash keeps one.
        escaped = re.sub(r"([\\\s])", r"\\\1", str(value))
        values["options"] = f"{values.get('options', '')} -c {name}={escaped}".strip()
    scheme = _SCHEME.match(url)
    driver = scheme.group(1).partition("+")[2] if scheme else ""
    return replace(parsed, options=tuple(values.items())).render(driver or None)


def check_reachable(url: str, timeout: float = 5.0) -> None:
    """Connects once and asks for a row.

    Args:
        url: A PostgreSQL URL.
        timeout: Seconds to wait for an answer; at least 1 is waited.

    Raises:
        SettingError: ``url`` is no PostgreSQL URL, or has an option that does not exist.
        DatabaseUnreachable: The server does not answer or refuses us: which, why in words, and what to do.
    """
    import psycopg

    parsed = _Url.checked(url, where="the URL")
    try:
        connection = psycopg.connect(parsed.render(), connect_timeout=max(1, round(timeout)), autocommit=True)
        with connection:
            connection.execute("select 1")
    except psycopg.OperationalError as error:
        raise _unreachable(parsed, str(error), timeout) from error
    except psycopg.Error as error:
        raise SettingError(
            f"The database URL {redact(parsed.render())} cannot be used: {_without_secrets(str(error), parsed)}.",
            mend="Compare its options with libpq's connection parameters.",
        ) from error


@dataclass(frozen=True, kw_only=True)
class _Url:
    """A PostgreSQL URL in its parts, decoded. ``hosts`` holds one pair of host and port per server."""

    user: str | None
    password: str | None
    hosts: tuple[tuple[str, str], ...]
    database: str
    options: tuple[tuple[str, str], ...]

    @classmethod
    def checked(cls, text: str, *, where: str = SETTING) -> _Url:
        culprits: list[Culprit] = []

        def wrong(problem: str, mend: str = "") -> None:
            culprits.append(Culprit(problem=problem, mend=mend, where=where))

        text = text.strip()
        scheme = _SCHEME.match(text)
        if scheme is None:
            # Not shown: what is no URL may be a bare password.
            wrong("the value is no URL.", f"Write {_EXAMPLE}, without quotes around it.")
            raise _wrong_setting(where, culprits)
        if scheme.group(1).partition("+")[0].lower() not in ("postgresql", "postgres"):
            wrong(f"the scheme {scheme.group(1)!r} is not PostgreSQL.", "Begin with postgresql://.")
            raise _wrong_setting(where, culprits)

        head, _, query = text[scheme.end() :].partition("?")
        authority, _, database = head.partition("/")
        if "@" in database or "@" in query.partition("=")[0]:
            wrong("the user or password holds a character that ends it.", "Write / as %2F, ? as %3F and @ as %40.")
            raise _wrong_setting(where, culprits)
        user: str | None
        user, at, servers = authority.rpartition("@")
        user, colon, password = user.partition(":")
        options: dict[str, str] = {}
        for pair in filter(None, query.split("&")):
            name, equals, value = pair.partition("=")
            if not equals:
                wrong("an option after the ? has no value.", "Write options as name=value, joined by &.")
            options[unquote(name)] = unquote(value)

        hosts = tuple(cls._host(part) for part in servers.split(","))
        ports = [port for _, port in hosts] + options.get("port", "").split(",")
        for port in filter(None, ports):
            if not port.isdecimal() or not 1 <= int(port) <= 65535:
                # With a forgotten "@" the password stands where the port belongs.
                shown = repr(port) if at and port.isalnum() else "after the host"
                wrong(f"the port {shown} is not a number from 1 to 65535.")
        if not any(host for host, _ in hosts) and not options.get("host") and not options.get("hostaddr"):
            wrong("the host is missing.", "Put it behind the @, or name a socket directory with ?host=/directory.")
        if not database and not options.get("dbname"):
            wrong("the database is missing.", "Put its name behind the host: host/database.")
        elif "/" in database:
            wrong("the database name holds a slash.", "Write it as %2F.")
        if culprits:
            raise _wrong_setting(where, culprits)
        return cls(
            user=unquote(user) if at else None,
            password=unquote(password) if colon else None,
            hosts=hosts,
            database=unquote(database) or options.pop("dbname"),
            options=tuple(options.items()),
        )

    @staticmethod
    def _host(text: str) -> tuple[str, str]:
        bracketed = re.fullmatch(r"(\[[0-9A-Fa-f:.%]*\])(?::(.*))?", text)
        if bracketed:
            return bracketed.group(1), bracketed.group(2) or ""
        host, _, port = text.partition(":")
        return unquote(host), port

    def render(self, driver: str | None = None) -> str:
        login = "" if self.user is None else quote(self.user, safe="")
        if self.password is not None:
            login += ":" + quote(self.password, safe="")
        if self.user is not None:
            login += "@"
        servers = ",".join(
            (host if host.startswith("[") else quote(host, safe="")) + (f":{port}" if port else "")
            for host, port in self.hosts
        )
        options = "&".join(f"{quote(name, safe='')}={quote(value, safe='/')}" for name, value in self.options)
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://{login}{servers}/{quote(self.database, safe='')}" + (f"?{options}" if options else "")

    @property
    def place(self) -> str:
        """Host, port and database, for messages."""
        options = dict(self.options)
        host = options.get("host") or options.get("hostaddr") or ",".join(host for host, _ in self.hosts)
        port = options.get("port") or ",".join(port for _, port in self.hosts if port) or "5432"
        return f"database {self.database!r} at {host}, port {port}"


def _wrong_setting(where: str, culprits: list[Culprit]) -> SettingError:
    what = f"The setting {where} is wrong." if where == SETTING else "The database URL is wrong."
    return SettingError(what, culprits=culprits, mend=f"It has the form {_EXAMPLE}.")


# The server's answer before a session exists reaches us as text only, without a code.
_CAUSES = (
    (
        r"password authentication failed|no password supplied",
        "the user or password is wrong",
        "Check user and password in the URL; special characters in it must be percent-encoded.",
    ),
    (
        r"pg_hba\.conf|authentication failed|role .* does not exist|not permitted to log in",
        "the server does not let this user in from here (authentication failed)",
        "Check the user in the URL, the server's pg_hba.conf, and whether it demands sslmode=require.",
    ),
    (r"database .* does not exist", "there is no such database", "Create it with createdb, or mend the URL."),
    (
        r"permission denied for database",
        "this user has no permission to connect to that database",
        "Let an administrator run: GRANT CONNECT ON DATABASE … TO ….",
    ),
    (
        r"too many (clients|connections)|remaining connection slots",
        "all its connections are taken",
        "Close some, or raise max_connections on the server.",
    ),
    (r"starting up|shutting down|recovery mode", "the server is starting up or shutting down", "Try again shortly."),
    (
        r"failed to resolve host|could not translate host name|[Nn]ame or service not known|nodename nor servname",
        "the host name is not known",
        "Check the host in the URL, and the name service of this machine.",
    ),
    (
        r"[Cc]onnection refused|No such file or directory",
        "the connection was refused: no server listens there",
        "Start the server, or mend host and port in the URL.",
    ),
    (
        r"timeout expired|timed out",
        "it did not answer within {timeout:g} seconds (timeout)",
        "Check host and port, and whether a firewall stands between.",
    ),
    (r"Permission denied", "this user may not use its socket (permission)", "Run as a user that may."),
    (
        r"unreachable|No route to host",
        "the network does not reach it",
        "Check the host in the URL and this machine's network.",
    ),
    (r"SSL|certificate", "the encrypted connection failed", "Check sslmode and the certificates in the URL."),
)


def _unreachable(url: _Url, message: str, timeout: float) -> DatabaseUnreachable:
    for pattern, cause, mend in _CAUSES:
        if re.search(pattern, message):
            detail = cause.format(timeout=timeout)
            return DatabaseUnreachable(f"The {url.place} cannot be reached: {detail}.", mend=mend)
    return DatabaseUnreachable(
        f"The {url.place} cannot be reached: {_without_secrets(message, url)}.",
        mend=f"Check the URL in {SETTING} and the server's log.",
    )


def _without_secrets(message: str, url: _Url) -> str:
    values = [url.password, *(value for name, value in url.options if name in _SECRETS)]
    for secret in filter(None, values):
        message = message.replace(secret, _HIDDEN).replace(quote(secret, safe=""), _HIDDEN)
    return message.strip().rstrip(".")
