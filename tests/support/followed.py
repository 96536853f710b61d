"""A real process that keeps a search index current, and what arrives meanwhile."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

from rookery.core.context import SystemClock
from rookery.posts.live import live_log
from rookery.posts.streams.inbox import Inbox, StreamMessage

PATIENCE_SECONDS = 60


@contextmanager
def follower(home):
    """Run `rookery search index --follow` in a process of its own, and end it."""
    command = [sys.executable, "-m", "rookery", "search", "index", "--follow"]
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [*command, "--home", str(home.path)], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def stream(home, *posts, events=()):
    """Store what a stream brings, as `rookery posts follow` does."""
    with live_log(home) as log:
        Inbox(log).store("test", [StreamMessage(posts=posts, events=tuple(events))], SystemClock())


def eventually(found):
    """Wait until a function returns something true, and return it."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not (value := found()) and time.monotonic() < until:
        time.sleep(0.05)
    return value
