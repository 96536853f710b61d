"""Signatures estimate the similarity of texts, and the library behind them stays silent."""

import subprocess
import sys

import numpy as np
import pyarrow as pa

from rookery.corpus.minhash import HASHES, signatures


def test_equal_texts_have_equal_signatures_wherever_they_stand():
    one, two = (
        signatures(pa.array(["the rooks are back", "a jackdaw"])),
        signatures(pa.array(["a jackdaw"])),
    )
    assert one.shape == (2, HASHES)
    assert np.array_equal(one[1], two[0])


def test_a_space_counts_as_a_character():
    spaced, joined = signatures(pa.array(["no where at all here", "nowhere at all here"]))
    assert 0 < (spaced == joined).mean() < 1


def test_making_signatures_opens_no_connection_and_prints_nothing():
    program = """
import socket, threading
import pyarrow as pa
def refuse(*asked, **_):
    print("asked for a connection:", asked)
    raise OSError
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from rookery.corpus.minhash import signatures
signatures(pa.array(["the rooks are back"]))
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
