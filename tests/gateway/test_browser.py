"""The page in a real browser, on a small town of synthetic posts.

Search, answers, ads, a click and its charge are all real. Suggestions and trends are twins.
"""

import dataclasses
from pathlib import Path

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from rookery.ads.ledger.store import opened_store
from rookery.ads.terms.objects import AdBook
from rookery.core.context import Context, SystemClock
from rookery.core.home import create_home
from rookery.core.protocols import HashedEmbedder
from rookery.gateway.app import create_app
from rookery.gateway.wiring import open_parts
from rookery.posts.forget import forget
from rookery.search.build import build_index
from rookery.search.suggest import Trend
from rookery.town.posts import TOPICS, TownConfig, ingest_town
from tests.support.selling import campaign, sell

pytestmark = pytest.mark.browser

CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"
"""A browser without a screen calls itself a robot, whose clicks cost nothing."""
SUGGESTIONS = ("#regatta", "#rowing", "#tea", "from:ada")
QUESTION = "When does the spring regatta start?"


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A home with a small town, its index and its campaigns."""
    home, context = create_home(tmp_path_factory.mktemp("town")), Context()
    ingest_town(home, TownConfig(authors=100, posts=4000), context)
    build_index(home, HashedEmbedder(), context)
    with opened_store(home) as store:
        sell(store, *map(advertised, TOPICS))
    return home


def advertised(topic) -> AdBook:
    """Return a campaign with the first advert of a topic, at a quarter per click."""
    advert = topic.adverts[0]
    return campaign(
        topic.name,
        advertiser=advert.advertiser,
        title=advert.headline,
        body=advert.body,
        url=f"https://ads.example.com{advert.landing_path}",
        keywords=topic.words,
    )


@pytest.fixture(scope="module")
def town_address(town, served):
    parts = dataclasses.replace(
        open_parts(town, Context()),
        suggest=lambda prefix: [w for w in SUGGESTIONS if w.startswith(prefix)],
        trends=lambda: [Trend("#regatta", 31, 12)],
    )
    with served(create_app(parts, SystemClock())) as address:
        yield address


@pytest.fixture(scope="module")
def chromium():
    if not CHROMIUM.exists():
        pytest.skip(f"there is no browser at {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, town_address):
    """A function that opens the first page in a new browser context.

    Requests to other sites are answered here; messages on the console fail the test.
    """
    contexts, messages = [], []

    def open_page(**settings):
        context = chromium.new_context(**({"user_agent": PERSON} | settings))
        contexts.append(context)
        context.route(
            lambda url: not url.startswith(town_address),
            lambda route: route.fulfill(
                status=200, content_type="text/html", body="<title>elsewhere</title>"
            ),
        )
        page = context.new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(town_address)
        # a key pressed earlier would take the focus away from it
        expect(page.locator("#q")).to_be_focused()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert messages == []


def search(page, words: str) -> None:
    box = page.locator("#q")
    box.fill(words)
    box.press("Enter")
    page.wait_for_url("**q=*")


def totals(address: str) -> dict:
    return httpx2.get(f"{address}ads/report.json").json()["totals"]


def wait_until(page, condition) -> None:
    for _ in range(50):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it did not happen within five seconds")


def test_a_question_is_answered_with_citations_that_lead_to_their_posts(open_page):
    page = open_page()
    search(page, QUESTION)
    answer = page.get_by_role("region", name="Answer from the posts")
    expect(answer.locator(".said")).to_contain_text("nine in the morning")
    answer.get_by_role("link", name="Source 1", exact=True).click()
    source = page.locator("#source-1")
    expect(source).to_be_in_viewport()
    expect(source).to_contain_text("regatta")
    assert source.evaluate("element => element.matches(':target')")
    expect(page.locator("article.post").first.locator("mark").first).to_be_visible()


def test_an_ad_that_is_seen_and_clicked_is_charged_and_the_report_shows_it(open_page, town_address):
    before = totals(town_address)
    page = open_page()
    search(page, "rowing crew training")
    ad = page.get_by_role("complementary", name="Promoted post")
    expect(ad).to_have_count(1)
    expect(ad).to_contain_text("Promoted")
    ad.scroll_into_view_if_needed()
    wait_until(page, lambda: totals(town_address)["views"] == before["views"] + 1)
    assert totals(town_address)["clicks"] == before["clicks"]
    ad.get_by_text("Why this ad").click()
    expect(ad.get_by_text("Paid for by")).to_be_visible()

    ad.get_by_role("link").click()
    expect(page).to_have_title("elsewhere")
    after = totals(town_address)
    assert (after["views"], after["clicks"]) == (before["views"] + 1, before["clicks"] + 1)
    assert after["spend_micros"] > before["spend_micros"]

    page.goto(f"{town_address}ads/report")
    row = page.get_by_role("row").filter(
        has=page.get_by_role("cell", name=after["spend"], exact=True)
    )
    expect(row.first).to_be_visible()
    expect(page.locator("dl.totals")).to_contain_text(after["spend"])


def test_a_click_at_once_reports_its_view_first_and_is_charged(open_page, town_address):
    before = totals(town_address)
    page = open_page()
    search(page, "rowing crew training")
    page.get_by_role("complementary", name="Promoted post").get_by_role("link").click()
    expect(page).to_have_title("elsewhere")
    after = totals(town_address)
    assert (after["views"], after["clicks"]) == (before["views"] + 1, before["clicks"] + 1)


def test_a_browser_that_calls_itself_a_robot_reaches_the_ad_and_is_not_charged(
    open_page, town_address
):
    before = totals(town_address)
    page = open_page(user_agent="Mozilla/5.0 HeadlessChrome/140.0")
    search(page, "rowing crew training")
    page.get_by_role("complementary", name="Promoted post").get_by_role("link").click()
    expect(page).to_have_title("elsewhere")
    after = totals(town_address)
    assert (after["views"], after["clicks"]) == (before["views"], before["clicks"])
    assert after["refused"]["click robot"] == before["refused"].get("click robot", 0) + 1


def test_an_ad_below_the_screen_is_not_counted_as_seen(open_page, town_address):
    page = open_page(viewport={"width": 800, "height": 200})
    before = totals(town_address)["views"]
    search(page, QUESTION)
    expect(page.get_by_role("complementary", name="Promoted post")).to_have_count(1)
    page.wait_for_timeout(1500)
    assert totals(town_address)["views"] == before


def test_the_page_works_without_javascript(open_page, town_address):
    page = open_page(java_script_enabled=False)
    before = totals(town_address)["views"]
    search(page, QUESTION)
    wait_until(page, lambda: totals(town_address)["views"] == before + 1)
    page.get_by_role("link", name="Answer from the posts").click()
    expect(page.locator(".said")).to_contain_text("nine in the morning")
    search(page, "regatta")
    page.get_by_role("link", name="Latest").click()
    expect(page.get_by_role("link", name="Latest")).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="More posts").click()
    page.locator("article.post .when").first.click()
    expect(page.locator(".whole .text")).to_be_visible()


SCREENS = [(1280, 800), (375, 740)]


@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_the_first_post_is_in_the_first_screen_and_does_not_wait_for_the_answer(
    open_page, width, height
):
    page = open_page(viewport={"width": width, "height": height})
    held = []
    page.route("**/answer?*", lambda route: held.append(route))
    search(page, QUESTION)
    post = page.locator("article.post").first
    expect(post).to_be_visible()
    place = post.bounding_box()
    assert place["y"] + place["height"] < height
    wait_until(page, lambda: held)
    assert page.locator(".answer").count() == 0
    held[0].continue_()
    expect(page.locator(".said")).to_contain_text("nine in the morning")
    assert post.bounding_box() == place  # the answer moves nothing that was read
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_what_is_no_question_has_no_answer(open_page):
    page = open_page()
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    search(page, "regatta")
    expect(page.locator("article.post").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert page.locator(".answer, [data-answer]").count() == 0
    assert not any("/answer" in url for url in requests)


@pytest.mark.parametrize("order", ["Best", "Latest"])
def test_further_pages_show_other_posts_and_the_address_has_it_all(open_page, order):
    page = open_page()
    search(page, "regatta")
    page.get_by_role("link", name=order).click()
    seen = []
    for _ in range(3):
        seen += page.locator("article.post .when").evaluate_all("all => all.map(a => a.href)")
        page.get_by_role("link", name="More posts").click()
        expect(page.get_by_role("heading", name="Further posts")).to_be_visible()
    assert len(seen) == len(set(seen)) == 60
    here = page.locator("article.post .text").all_inner_texts()
    page.goto(page.url)
    assert page.locator("article.post .text").all_inner_texts() == here
    page.get_by_role("link", name="First page").click()
    assert page.locator("article.post .when").first.get_attribute("href") in seen[0]


def test_a_post_has_a_page_with_the_parts_of_its_score_and_leads_to_its_author(open_page):
    page = open_page()
    search(page, "regatta")
    text = page.locator("article.post .text").first.inner_text()
    page.locator("article.post .when").first.click()
    expect(page.locator(".whole .text")).to_have_text(text)
    expect(page.get_by_role("region", name="Why it was found")).to_contain_text("bm25")
    author = page.get_by_role("heading", level=1).inner_text()
    page.get_by_role("heading", level=1).get_by_role("link").click()
    assert set(page.locator("article.post .by").all_inner_texts()) == {author}


def test_what_people_wrote_has_its_own_direction_and_language(open_page):
    page = open_page()
    search(page, "regatta")
    expect(page.locator("article.post .text").first).to_be_visible()
    assert page.locator("article.post .text:not([dir=auto])").count() == 0
    assert page.locator("article.post .text:not([lang])").count() == 0


def test_suggestions_complete_the_last_word_by_keyboard_alone(open_page):
    page = open_page()
    box = page.get_by_role("combobox")
    box.press_sequentially("late #r")
    options = page.get_by_role("option")
    expect(options).to_have_text(["#regatta", "#rowing"])
    expect(box).to_have_attribute("aria-expanded", "true")
    box.press("ArrowDown")
    box.press("ArrowDown")
    expect(page.get_by_role("option", selected=True)).to_have_text("#rowing")
    assert axe(page) == []
    box.press("Enter")
    expect(box).to_have_value("late #rowing ")
    expect(options).to_have_count(0)
    box.press_sequentially("#t")
    expect(options).to_have_count(1)
    box.press("Escape")
    expect(options).to_have_count(0)
    box.press("Enter")
    page.wait_for_url("**q=late*")


def axe(page) -> list[str]:
    """Return what axe finds wrong with a page."""
    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {node['html'][:120]}" for v in found for node in v["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_with_any_page(open_page, town_address, scheme):
    page = open_page(color_scheme=scheme)
    assert axe(page) == []
    search(page, QUESTION)
    expect(page.locator(".said")).to_be_visible()
    page.locator("summary").first.click()
    assert axe(page) == []
    page.locator("article.post .when").first.click()
    expect(page.locator(".whole")).to_be_visible()
    assert axe(page) == []
    for path in ("?q=tea&mode=latest", "?q=xyzzy", "answer?q=When+is+it", "ads/report"):
        page.goto(town_address + path)
        assert axe(page) == []


def test_a_forgotten_author_is_gone_at_the_next_search(open_page, town):
    page = open_page()
    search(page, "sculls")
    author = page.locator("article.post .by").first.inner_text()
    forget(town, [], [author], Context())
    page.reload()
    expect(page.locator("article.post").first).to_be_visible()
    assert author not in page.locator("main .by").all_inner_texts()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_runs_out_of_a_narrow_screen_and_text_stands_out_in_both_themes(
    open_page, scheme, width
):
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    for words in (QUESTION, "x" * 300):
        search(page, words)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    search(page, QUESTION)
    low = [(what, ratio) for what, ratio in page.evaluate(CONTRASTS) if ratio < 4.5]
    assert low == []


def test_everything_is_reached_by_keyboard_and_has_a_name(open_page):
    page = open_page()
    search(page, QUESTION)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    unnamed = (
        "[...document.querySelectorAll('a, button, input:not([type=hidden])')].filter(e => "
        "!(e.innerText || "
    )
    unnamed += "e.getAttribute('aria-label') || (e.labels && e.labels.length))).length"
    assert page.evaluate(unnamed) == 0
    assert page.locator("h1").count() == 1


CONTRASTS = """() => {
  const channel = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = numbers(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
  };
  const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  return [...document.querySelectorAll("body *")].filter(e => own(e) && e.offsetParent).map(e => {
    const both = [numbers(getComputedStyle(e).color), behind(e)].map(luminance);
    const [a, b] = both.sort((x, y) => y - x);
    return [e.className || e.tagName, (a + 0.05) / (b + 0.05)];
  });
}"""
"""JavaScript: the contrast of every text with its background, by WCAG 2.2 (1.4.3)."""
