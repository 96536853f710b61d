"""A PostgreSQL of the tests' own, on loopback, in a folder that goes with it."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


class Postgres:
    """A server of databases that is started and stopped by whoever has it."""

    def __init__(self, durable: bool = False) -> None:
        binaries = str(_PLACES[0]) if _PLACES else os.path.dirname(shutil.which("initdb") or "")
        if not binaries:
            pytest.skip("PostgreSQL is not installed; on Debian: apt-get install postgresql")
        self._bin, self._durable, self._made = Path(binaries), durable, 0
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._as = self._user()
        os.chown(self.folder, self._as.pw_uid, self._as.pw_gid)
        self._run("initdb", "-D", self.folder / "data", "-A", "trust", "-U", "ads", "-N")
        self.start()

    @staticmethod
    def _user() -> pwd.struct_passwd:
        """Return who runs it, who may not be root."""
        return pwd.getpwuid(os.getuid()) if os.getuid() else pwd.getpwnam("postgres")

    def _run(self, name: str, *arguments: object, check: bool = True) -> None:
        subprocess.run(
            [self._bin / name, *map(str, arguments)],
            check=check,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._as.pw_uid,
            group=self._as.pw_gid,
            extra_groups=[],
            cwd=self.folder,
        )

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        settings = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder}"
        if not self._durable:
            settings += " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        log = self.folder / "log"
        self._run("pg_ctl", "-D", self.folder / "data", "-o", settings, "-l", log, "-w", "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; mode: fast, or immediate as when it is killed."""
        self._run("pg_ctl", "-D", self.folder / "data", "-m", mode, "-w", "stop", check=False)

    def database(self) -> str:
        """Make a database, and return its URL."""
        self._made += 1
        name = f"ads{self._made}"
        for _ in range(50):
            try:
                self._run("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "ads", name)
                break
            except subprocess.CalledProcessError:
                time.sleep(0.1)
        return f"postgresql+psycopg://ads@127.0.0.1:{self.port}/{name}"

    def remove(self) -> None:
        """Stop it, and remove all that it has."""
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)
