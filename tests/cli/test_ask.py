"""`rookery search ask` with an endpoint that writes: what was left out is told."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from rookery.cli.main import app
from rookery.core.context import Context
from rookery.core.home import SETTINGS
from rookery.core.protocols import HashedEmbedder
from rookery.search.build import build_index

WRITTEN = "The night tram starts at ten. [1] The zeppelin exploded. [1]"


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"choices": [{"message": {"content": WRITTEN}}]}).encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def address():
    with HTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def test_an_answer_tells_how_many_sentences_of_its_writer_were_left_out(home, put, a_post, address):
    put(a_post("The night tram starts at ten from the old harbour.", author="bob"))
    build_index(home, HashedEmbedder(), Context())
    (home.path / SETTINGS).write_text(
        f'[answers]\nwriter = "endpoint"\nendpoint = "{address}"\nmodel = "any"\n'
    )
    words = ["search", "ask", "When does the night tram start?", "--home", str(home.path)]
    found = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert [sentence["text"] for sentence in found["sentences"]] == [
        "The night tram starts at ten."
    ]
    assert (found["writer"], found["unsupported"]) == ("endpoint", 1)
    told = CliRunner().invoke(app, words).stdout
    assert "Sentences left out, since posts do not bear them out: 1" in told
    assert "zeppelin" not in told
