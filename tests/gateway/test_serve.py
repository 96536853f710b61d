"""Listening on a port, and `rookery serve` as a process: it answers, and ends at Ctrl-C."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest

from rookery.core.context import SystemClock
from rookery.core.errors import UsageError
from rookery.gateway.app import create_app
from rookery.gateway.serve import address_of, listening, repeated_beside, serve

ROOKERY = [sys.executable, "-m", "rookery.cli.main"]


def test_a_port_that_is_taken_is_refused_in_one_line():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with (
            pytest.raises(UsageError, match=rf"listens there already \(127.0.0.1:{port}\)"),
            listening("127.0.0.1", port),
        ):
            pass


@pytest.mark.parametrize(
    ("host", "port"), [("192.0.2.1", 0), ("no such host", 0), ("127.0.0.1", 70_000)]
)
def test_an_address_that_cannot_be_is_refused(host, port):
    with pytest.raises(UsageError), listening(host, port):
        pass


def test_the_address_to_open_is_one_that_a_browser_can_open():
    with listening("0.0.0.0", 0) as listener:
        assert address_of(listener).startswith("http://127.0.0.1:")


def test_learning_goes_on_beside_the_requests_and_after_an_error_and_ends_with_serving(caplog):
    calls, third = [], threading.Event()

    def learn() -> bool:
        calls.append(threading.current_thread())
        if len(calls) == 3:
            third.set()
        if len(calls) == 1:
            raise OSError("the disk is away")
        return True

    with repeated_beside(learn, "learning from clicks", 0.001):
        assert third.wait(timeout=20)
    assert threading.current_thread() not in calls
    assert not calls[0].is_alive()
    assert caplog.messages == ["learning from clicks failed"]


def test_a_page_is_served_while_learning_is_not_done(parts, served):
    begun, done = threading.Event(), threading.Event()

    def learn() -> bool:
        begun.set()
        return done.wait(timeout=20)

    with (
        repeated_beside(learn, "learning from clicks", 60),
        served(create_app(parts, SystemClock())) as address,
    ):
        assert begun.wait(timeout=20)
        assert "Tea above the old harbour" in httpx2.get(address, params={"q": "tea"}).text
        assert not done.is_set()
        done.set()


def test_rookery_serve_answers_and_ends_quietly_at_ctrl_c(home):
    command = [*ROOKERY, "serve", "--home", str(home.path), "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_env()
    )
    try:
        address = process.stdout.readline().split()[1]
        assert httpx2.get(f"{address}healthz").json()["model"] == "untrained"
        found = httpx2.get(address, params={"q": "rooks"})
        # there is no index yet: the page names the command that makes one
        assert "rookery search index" in found.text
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert errors == ""


def test_a_killed_follower_is_started_again_and_takes_in_what_came(home, put, a_post):
    command = [*ROOKERY, "serve", "--home", str(home.path), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_env())
    try:
        address = process.stdout.readline().split()[1]
        first = _follower_of(process.pid)
        os.kill(first, signal.SIGKILL)
        put(a_post("a gannet dives", id="later"))
        assert _follower_of(process.pid, but=first) != first
        for _ in range(100):
            found = httpx2.get(f"{address}v1/search", params={"q": "gannet"})
            if found.status_code == 200 and found.json()["hits"]:
                break
            time.sleep(0.2)
        assert [hit["id"] for hit in found.json()["hits"]] == ["later"]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def _follower_of(server: int, but: int = 0) -> int:
    """Return the process that keeps the index current for a server, once there is one."""
    wanted = f"--follow --parent {server} "
    for _ in range(200):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if wanted in path.read_text().replace("\0", " ") and int(path.parent.name) != but:
                    return int(path.parent.name)
        time.sleep(0.1)
    raise AssertionError("there is none")


def test_rookery_serve_on_a_taken_port_exits_2_with_one_line(home):
    with listening("127.0.0.1", 0) as other:
        port = str(other.getsockname()[1])
        command = [*ROOKERY, "serve", "--home", str(home.path), "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, env=_env())
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "outside"])
def test_the_network_is_let_in_only_by_a_decision(home, host):
    if host == "outside":
        host = _own_address()
    command = [*ROOKERY, "serve", "--home", str(home.path), "--host", host, "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, env=_env(), timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--password-file" in done.stderr
    assert "--public" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_address_in_the_settings_is_no_decision_either(home):
    from rookery.core.home import SETTINGS, open_home

    settings = home.path / SETTINGS
    settings.write_text(settings.read_text().replace("127.0.0.1", "0.0.0.0"))
    with pytest.raises(UsageError, match="--public"):
        serve(open_home(home.path), port=0)


@pytest.mark.parametrize("content", [None, "", "\n\n", "  \n", b"\xff\xfe"])
def test_a_password_that_is_none_is_refused(home, tmp_path, content):
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match="password"):
        serve(home, "0.0.0.0", 0, password_file=file)


@pytest.mark.parametrize("name", ["https://rooks.example", "rooks.example:80", "*", "a b", ""])
def test_what_is_no_name_of_a_host_cannot_be_allowed(home, name):
    with pytest.raises(UsageError, match="no name of a host"):
        serve(home, port=0, allowed_hosts=[name])


@pytest.mark.parametrize("by_settings", [True, False])
def test_a_server_for_the_network_asks_for_its_password_under_its_names(
    home, tmp_path, by_settings
):
    from rookery.core.home import SETTINGS

    (tmp_path / "password").write_text("rooks at dawn\n")
    options = ["--host", "0.0.0.0", "--port", "0", "--password-file", str(tmp_path / "password")]
    if by_settings:
        settings = home.path / SETTINGS
        settings.write_text(settings.read_text().replace("= []", '= ["Rooks.example"]'))
    else:
        options += ["--allowed-host", "rooks.example"]
    command = [*ROOKERY, "--home", str(home.path), "serve", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_env())
    try:
        address = process.stdout.readline().split()[1]
        known = httpx2.BasicAuth("", "rooks at dawn")
        named = {"host": "rooks.example"}
        assert httpx2.get(address).status_code == 401
        assert httpx2.get(f"{address}v1/models").status_code == 401
        assert httpx2.get(address, auth=known).status_code == 200
        assert httpx2.get(address, auth=known, headers=named).status_code == 200
        assert httpx2.get(address, auth=known, headers={"host": "evil.example"}).status_code == 400
    finally:
        process.kill()


def _own_address() -> str:
    """Return an address of this machine that others reach; skip where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses a way
        except OSError:
            pytest.skip("this machine has no network")
        return probe.getsockname()[0]


def _env() -> dict[str, str]:
    """Return this process's environment, with this checkout first and output unbuffered."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
