"""Who may come in: over a real socket, and as rules."""

import httpx2
import pytest

from rookery.core.context import SystemClock
from rookery.gateway.app import create_app
from rookery.gateway.guard import Guard, is_loopback, named_host

PATHS = ("/", "/?q=tea", "/v1/models", "/healthz", "/ads/report.json", "/static/page.js", "/none")


@pytest.fixture
def served_with(parts, served):
    """A function that serves with a guard."""
    return lambda guard: served(create_app(parts, SystemClock(), guard=guard))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil@127.0.0.1",
        "127.0.0.1:8700@evil.example",
        "[::1].evil.example",
        "192.0.2.1",
        "0.0.0.0",
        "",
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_a_request_that_names_another_host_is_refused_wherever_it_leads(address, host, path):
    response = httpx2.get(address + path[1:], headers={"host": host})
    assert response.status_code == 400
    assert "x-request-id" in response.headers
    assert "Harbour" not in response.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1", "[::1]:8700"])
def test_the_names_of_this_machine_are_answered(address, host):
    assert httpx2.get(f"{address}healthz", headers={"host": host}).status_code == 200


def test_a_listed_host_is_answered_and_gives_no_rights(served_with):
    with served_with(Guard(frozenset({"rooks.example"}))) as address:
        for host in ("rooks.example", "Rooks.Example:443"):
            assert httpx2.get(address, headers={"host": host}).status_code == 200
        assert httpx2.get(address, headers={"host": "www.rooks.example"}).status_code == 400
        report = httpx2.get(f"{address}ads/report.json", headers={"host": "rooks.example"})
        assert report.status_code == 403


def test_with_a_password_nothing_is_shown_without_it_but_that_the_server_is_alive(served_with):
    with served_with(Guard(password="pässword: 1")) as address:
        for path in PATHS:
            response = httpx2.get(address + path[1:])
            assert response.status_code == (200 if path == "/healthz" else 401)
            assert path == "/healthz" or response.headers["www-authenticate"].startswith("Basic")
        known = httpx2.BasicAuth("anybody", "pässword: 1")
        assert httpx2.get(address, auth=known).status_code == 200
        assert httpx2.get(f"{address}ads/report", auth=known).status_code == 200
        for wrong in ("pässword: ", "pässword: 11", "", "PÄSSWORD: 1"):
            assert httpx2.get(address, auth=httpx2.BasicAuth("x", wrong)).status_code == 401
        for header in ("Basic", "Basic ???", "Basic Og==", "Bearer pw", "Basic cGFzc3dvcmQ="):
            assert httpx2.get(address, headers={"authorization": header}).status_code == 401


@pytest.mark.parametrize(
    "header", ["x-forwarded-for", "forwarded", "x-real-ip", "via", "x-forwarded-host"]
)
def test_a_proxy_on_this_machine_is_not_the_operator(address, header):
    own = httpx2.get(f"{address}ads/report")
    through = httpx2.get(f"{address}ads/report", headers={header: "127.0.0.1"})
    assert (own.status_code, through.status_code) == (200, 403)
    assert "harbour-tea" in own.text
    assert "harbour-tea" not in through.text


def test_the_link_to_the_report_is_shown_to_the_operator_alone(served_with):
    with served_with(Guard(frozenset({"rooks.example"}), "pw", is_public=True)) as address:
        strange = {"host": "rooks.example"}
        for path in ("", "?q=tea"):
            assert "/ads/report" in httpx2.get(address + path).text
            assert "/ads/report" not in httpx2.get(address + path, headers=strange).text
        refused = httpx2.get(f"{address}ads/report", headers=strange)
        assert refused.status_code == 401
        assert "www-authenticate" in refused.headers
        known = httpx2.BasicAuth("x", "pw")
        assert httpx2.get(f"{address}ads/report", headers=strange, auth=known).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"])
def test_addresses_of_this_machine(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "localhost.", "127.0.0.1x"])
def test_addresses_that_are_not(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "header", [None, "", "a b", "a/b", "a@b", "[::1", "ä.example", ":80", "a?b"]
)
def test_what_names_no_host(header):
    assert named_host(header) == ""
