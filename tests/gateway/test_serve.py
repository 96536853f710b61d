"""Listening on a port, and `rookery serve` as a process: it answers, and ends at Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
import threading

import httpx2
import pytest

from rookery.core.context import SystemClock
from rookery.core.errors import UsageError
from rookery.gateway.app import create_app
from rookery.gateway.serve import address_of, learning_beside, listening

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

    with learning_beside(learn, poll_seconds=0.001):
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
        learning_beside(learn, poll_seconds=60),
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


def test_rookery_serve_on_a_taken_port_exits_2_with_one_line(home):
    with listening("127.0.0.1", 0) as other:
        port = str(other.getsockname()[1])
        command = [*ROOKERY, "serve", "--home", str(home.path), "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, env=_env())
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def _env() -> dict[str, str]:
    """Return this process's environment, with this checkout first and output unbuffered."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
