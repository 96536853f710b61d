"""The pages as HTML: hostile text stays text, money is counted once, parts fail independently."""

import dataclasses
import re
from datetime import UTC, datetime
from types import SimpleNamespace

import httpx2
import pytest

from rookery.ads.report import report
from rookery.core.context import SystemClock
from rookery.core.errors import UsageError
from rookery.core.protocols import TextChunk
from rookery.gateway.app import create_app
from rookery.search.lag import Lag
from rookery.search.post import PostPage
from rookery.search.search import Results
from rookery.search.suggest import Trend
from tests.support.selling import campaign, sell

HOSTILE = (
    '<script>alert(1)</script> "><img src=x onerror=alert(2)> javascript:alert(3) &amp; {{ 70*70 }}'
)


@pytest.fixture
def ask(parts, served):
    """A function that requests pages from an application with some of the parts changed."""

    def ask(*requests, client=None, **changes):
        app = create_app(dataclasses.replace(parts, **changes), SystemClock())
        with served(app) as address, httpx2.Client(base_url=address) as client:
            made = [
                client.request(*request) if isinstance(request, tuple) else client.get(request)
                for request in requests
            ]
        return made[0] if len(made) == 1 else made

    return ask


@pytest.fixture
def page(address, browser_headers):
    with httpx2.Client(base_url=address, headers=browser_headers) as client:
        yield client


def token_of(response) -> str:
    return re.search(r"/ads/([\w-]+)/click", response.text).group(1)


def test_the_first_page_asks_and_shows_no_ad_and_sets_no_cookie(page):
    response = page.get("/")
    assert response.status_code == 200
    assert 'role="search"' in response.text
    assert "Promoted" not in response.text
    assert "set-cookie" not in response.headers


class Trained:
    """A model that writes one text, and counts how often."""

    name, asked = "a-model", 0

    def generate(self, prompt, options):
        self.asked += 1
        yield TextChunk("a <b>rook</b> wrote this", 5, "length")


def test_the_first_page_shows_what_the_model_made_up_and_says_so(ask):
    assert "<blockquote" not in ask("/").text  # the untrained twin has nothing to show
    model = Trained()
    for shown in ask("/", "/", generator=model):
        assert "a &lt;b&gt;rook&lt;/b&gt; wrote this</blockquote>" in shown.text
        assert "The model a-model made this up" in shown.text
    assert model.asked == 1


def test_a_search_shows_the_posts_and_one_labelled_ad(page):
    text = page.get("/", params={"q": "tea"}).text
    assert "<mark>tea</mark> is fine" in text
    assert text.count(">Promoted<") == 1
    assert "Why this ad" in text
    assert "2 copy" in text


def test_what_people_and_advertisers_wrote_is_never_markup(ask, parts):
    hit = parts.search("x", "best").hits[0]
    hostile = dataclasses.replace(
        hit, id=HOSTILE, text=HOSTILE, author=HOSTILE, language='"><script>', conversation=HOSTILE
    )
    sentence = SimpleNamespace(text=HOSTILE, citations=(1,))
    query = HOSTILE.replace("&", "%26").replace("#", "%23")
    pages = ask(
        f"/?q={query} tea",
        f"/answer?q={query}",
        f"/posts/x?q={query}",
        "/",
        search=lambda *_, **__: Results((hostile,), HOSTILE, {}, HOSTILE),
        answer=lambda _: SimpleNamespace(sentences=(sentence,), sources=(hostile,), note=HOSTILE),
        post=lambda *_: PostPage(hostile, (hit, hostile), (hostile,), "javascript:alert(1)"),
        trends=lambda: [Trend(HOSTILE, 2, 1)],
        correct=lambda _: HOSTILE,
    )
    assert "Harbour Tea &lt;House&gt;" in pages[0].text
    for response in pages:
        assert response.status_code == 200
        assert "&lt;script&gt;alert" in response.text
        assert "<script>alert" not in response.text
        assert "<img src=x" not in response.text
        assert "Harbour Tea <House>" not in response.text
        assert "4900" not in response.text
        assert not re.search(r'(href|src)="\s*javascript:', response.text)
        assert len(re.findall(r"<script", response.text)) == 1


def test_every_page_forbids_scripts_from_elsewhere(page):
    for path in ("/", "/?q=tea", "/nothing", "/ads/report"):
        policy = page.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_a_view_counts_once_however_often_it_is_told(page, home):
    token = token_of(page.get("/?q=tea"))
    assert page.post(f"/ads/{token}/view").json()["counted"] is True
    assert page.post(f"/ads/{token}/view").json()["counted"] is False
    assert page.get(f"/ads/{token}/view.gif").headers["content-type"] == "image/gif"
    assert report(home)["totals"]["views"] == 1


def test_a_click_is_charged_once_and_leads_to_the_landing_page(page, home):
    token = token_of(page.get("/?q=tea"))
    page.post(f"/ads/{token}/view")
    for _ in range(3):
        response = page.get(f"/ads/{token}/click")
        assert response.status_code == 303
        assert response.headers["location"] == "https://example.com/tea?a=1&b=2"
    totals = report(home)["totals"]
    assert (totals["views"], totals["clicks"]) == (1, 1)
    assert totals["spend_micros"] > 0
    shown = page.get("/ads/report.json").json()
    assert shown["campaigns"][0]["spend_micros"] == totals["spend_micros"]
    assert shown["campaigns"][0]["spend"] in page.get("/ads/report").text


@pytest.mark.parametrize(
    ("method", "headers", "reason"),
    [
        ("GET", {"sec-purpose": "prefetch;prerender"}, "prefetch"),
        ("GET", {"purpose": "prefetch"}, "prefetch"),
        ("GET", {"x-moz": "prefetch"}, "prefetch"),
        ("HEAD", {}, "head_request"),
        ("GET", {"user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}, "robot"),
        ("GET", {"user-agent": "python-requests/2.34"}, "robot"),
        ("GET", {"user-agent": ""}, "robot"),
        ("GET", {"cookie": "rookery_viewer=0123456789abcdef"}, "other_viewer"),
    ],
)
def test_what_is_no_click_of_the_viewer_leads_on_and_costs_nothing_with_the_reason(
    page, home, method, headers, reason
):
    token = token_of(page.get("/?q=tea"))
    page.post(f"/ads/{token}/view")
    response = page.request(method, f"/ads/{token}/click", headers=headers)
    assert response.status_code == 303
    assert response.headers["location"] == "https://example.com/tea?a=1&b=2"
    totals = report(home)["totals"]
    assert totals["spend_micros"] == 0
    assert totals["refused"] == {f"click {reason}": 1}
    page.get(f"/ads/{token}/click")  # the person's own click afterwards is charged all the same
    assert report(home)["totals"]["spend_micros"] > 0


def test_a_click_of_whoever_has_not_seen_the_ad_or_keeps_no_cookie_costs_nothing(page, home):
    token = token_of(page.get("/?q=tea"))
    assert page.get(f"/ads/{token}/click").status_code == 303  # no view was counted
    page.post(f"/ads/{token}/view")
    page.cookies.clear()
    assert page.get(f"/ads/{token}/click").status_code == 303
    assert page.post(f"/ads/{token}/view").json()["reason"] == "other_viewer"
    totals = report(home)["totals"]
    assert totals["spend_micros"] == 0
    assert totals["refused"] == {
        "click click_without_view": 1,
        "click other_viewer": 1,
        "view other_viewer": 1,
    }


def test_an_ad_that_never_was_leads_nowhere_and_costs_nothing(page, home):
    assert page.get("/ads/nonsense/click").status_code == 404
    assert page.post("/ads/nonsense/view").json()["counted"] is False
    assert report(home)["totals"]["spend_micros"] == 0


@pytest.mark.parametrize(
    "landing", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "file:///etc/passwd"]
)
def test_a_click_never_leads_to_what_is_no_web_page(ask, landing):
    ads = SimpleNamespace(click=lambda *_: (None, landing))
    response = ask("/ads/x/click", ads=ads)
    assert response.status_code == 404
    assert "location" not in response.headers


def test_the_viewer_is_a_random_name_for_this_session_and_a_forged_one_is_replaced(page):
    first = page.get("/?q=tea")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Max-Age" not in cookie
    assert "expires" not in cookie.lower()
    assert "set-cookie" not in page.get("/?q=tea").headers
    page.cookies.clear()
    forged = page.get("/?q=tea", headers={"cookie": "rookery_viewer=' OR 1=1"})
    assert "set-cookie" in forged.headers


def fail(error):
    def failing(*_, **__):
        raise error

    return failing


def test_a_query_that_makes_no_sense_is_explained_in_its_place(ask):
    response = ask(
        "/?q=since:never",
        search=fail(UsageError("'never' is no date", hint="Write since:2026-01-31")),
    )
    assert response.status_code == 400
    assert "is no date. Write since:2026-01-31" in response.text
    assert "Promoted" not in response.text


def test_a_broken_search_gives_a_sentence_and_no_traceback(ask):
    response = ask("/?q=tea", search=fail(RuntimeError("secret detail")))
    assert response.status_code == 503
    assert "does not work at the moment" in response.text
    assert "secret detail" not in response.text


def test_broken_ads_and_a_broken_answer_leave_the_posts_standing(ask):
    broken = fail(RuntimeError("secret detail"))
    response, answer, start, suggested = ask(
        "/?q=tea",
        "/answer?q=tea",
        "/",
        "/suggest?q=te",
        ads=SimpleNamespace(serve=broken),
        answer=broken,
        trends=broken,
        suggest=broken,
    )
    assert response.status_code == answer.status_code == start.status_code == 200
    assert "is fine" in response.text
    assert "Promoted" not in response.text
    assert "no answer at the moment" in answer.text
    assert suggested.json() == {"suggestions": []}


def test_a_crash_is_a_page_for_people_and_json_for_programs(ask):
    for_people, for_programs = ask(
        "/ads/report", "/ads/report.json", report=fail(RuntimeError("secret detail"))
    )
    assert (for_people.status_code, for_programs.status_code) == (500, 500)
    assert "secret detail" not in for_people.text + for_programs.text
    assert for_programs.json()["error"]


def test_an_unknown_page_says_so(page):
    response = page.get("/nothing/here")
    assert response.status_code == 404
    assert "nothing at this address" in response.text


def test_health_tells_the_model_and_every_response_has_an_id_of_its_own(page):
    first, second = page.get("/healthz"), page.get("/healthz")
    assert first.json()["status"] == "ok"
    assert first.json()["model"] == "untrained"
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_a_long_query_reaches_the_search_whole_which_says_what_it_reads(ask, parts):
    heard = []

    def search(text, mode, cursor=None, **_):
        heard.append(text)
        return parts.search("tea", mode)

    assert ask(f"/?q={'tea+' * 400}", search=search).status_code == 200
    assert heard == [" ".join(["tea"] * 400)]


def test_a_search_for_nothing_much_is_the_first_page(page):
    assert "What did people write?" in page.get("/?q=%20%20").text


def test_a_home_without_campaigns_says_how_to_get_some(ask):
    assert (
        "rookery ads import"
        in ask("/ads/report", report=lambda: {"campaigns": [], "totals": {}}).text
    )


def test_a_search_says_since_when_posts_are_missing(ask):
    lag = Lag(datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC), "the disk is full")
    page, answer = ask("/?q=rook", "/v1/search?q=rook", lag=lambda: lag)
    assert "Posts since 2026-03-04 05:06:07 UTC are missing: the disk is full." in page.text
    told = {"committed": "2026-03-04T05:06:07+00:00", "why": "the disk is full"}
    assert answer.json()["lag"] == told
    page, answer = ask("/?q=rook", "/v1/search?q=rook")
    assert "missing" not in page.text
    assert "lag" not in answer.json()


def test_a_ledger_that_cannot_be_written_counts_nothing_and_links_lead_on(page, ads, home):
    token = token_of(page.get("/?q=tea"))
    ads._booking.close()  # as when the disk is full for long
    told = page.post(f"/ads/{token}/view")
    assert (told.status_code, told.json()) == (503, {"counted": False, "reason": "not_booked"})
    assert page.get(f"/ads/{token}/view.gif").status_code == 200
    assert page.get(f"/ads/{token}/click").status_code == 303
    assert report(home)["totals"]["views"] == 0


def test_a_browser_that_says_it_is_on_a_phone_is_shown_ads_for_phones(page, ads):
    sell(ads.store, campaign("phones", keywords=("tea",), devices=("phone",), advertiser="P",
                             title="Tea on the phone", bid_micros=900_000))  # fmt: skip
    on = {mobile: page.get("/?q=tea", headers={"sec-ch-ua-mobile": mobile}).text
          for mobile in ("?0", "?1")}  # fmt: skip
    assert ("Tea on the phone" in on["?0"], "Tea on the phone" in on["?1"]) == (False, True)
