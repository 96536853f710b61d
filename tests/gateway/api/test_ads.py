"""What is sold, over REST: the same as by commands, for operators alone."""

import httpx2
import pytest

from rookery.core.context import SystemClock
from rookery.gateway.app import create_app


@pytest.fixture
def api(parts, served):
    with served(create_app(parts, SystemClock())) as address:
        with httpx2.Client(base_url=f"{address}ads/v1/") as client:
            yield client


NEW = """\
[[campaign]]
id = "rum"
advertiser = "Rum Ltd"
title = "Rum"
body = "Old rum."
url = "https://example.com/rum"
bid = 0.10
budget = 5
keywords = ["rum"]
"""


def shown(parts, text: str) -> list[str]:
    from rookery.ads.server import AdRequest

    return [offer.campaign for offer in parts.ads.serve(AdRequest(text, None, "ada"))]


def test_a_file_is_imported_approved_resumed_and_paused(api, parts):
    dry = api.post("import", params={"form": "toml", "dry_run": True}, content=NEW).json()
    made = api.post("import", params={"form": "toml"}, content=NEW).json()
    assert dry == made == {"new": 4, "changed": 0, "unchanged": 0, "to_review": 1,
                           "waiting": ["ad rum"]}  # fmt: skip
    assert shown(parts, "rum") == []
    assert api.post("ads/rum/approve").json() == {"id": "rum", "review": "approved"}
    resumed = api.post("campaigns/rum/resume", params={"below": True}).json()
    assert resumed == {"id": "rum", "paused": False, "objects": 3}
    assert shown(parts, "rum") == ["rum"]
    api.post("groups/rum/pause")
    assert shown(parts, "rum") == []


@pytest.mark.parametrize("form", ["toml", "json", "csv"])
def test_what_is_exported_imports_as_no_change(api, form):
    text = api.get("export", params={"form": form}).text
    assert "Harbour Tea <House>" in text
    counts = api.post("import", params={"form": form}, content=text.encode()).json()
    assert (counts["new"], counts["changed"]) == (0, 0)


def test_one_object_is_read_and_changed_by_its_fields(api, parts):
    before = api.get("groups/harbour-tea").json()
    assert (before["bid"], before["keywords"]) == ("0.25", ["tea"])
    told = api.patch("groups/harbour-tea", json={"bid": 0.5, "keywords": ["tea", "scones"]}).json()
    assert told["changed"] == 1
    after = api.get("groups/harbour-tea").json()
    assert (after["bid"], after["keywords"]) == ("0.5", ["tea", "scones"])
    assert [one["id"] for one in api.get("campaigns").json()["campaigns"]] == ["harbour-tea"]
    assert shown(parts, "scones") == ["harbour-tea"]


def test_new_words_of_an_ad_wait_for_review_and_may_be_rejected(api, parts):
    assert api.patch("ads/harbour-tea", json={"title": "Free money"}).json()["waiting"]
    api.post("ads/harbour-tea/reject", params={"reason": "not tea"})
    from rookery.ads.server import AdRequest

    (offer,) = parts.ads.serve(AdRequest("tea", None, "ada"))
    assert offer.title == "Tea above the old harbour"


def test_what_is_wrong_is_told_and_nothing_is_taken(api):
    for response, status, message in (
        (api.patch("groups/harbour-tea", json={"bid": "much"}), 400, "must be an amount"),
        (api.patch("groups/harbour-tea", json={"bidd": 1}), 400, "did you mean bid?"),
        (api.patch("groups/harbour-tea", content=b"{"), 400, "not valid JSON"),
        (api.patch("groups/new", json={"campaign": "none", "bid": 1}), 400, "no campaign none"),
        (api.post("import", content=b"[]"), 400, "must be a table"),
        (api.post("ads/nothing/approve"), 404, "there is no ad nothing"),
        (api.post("groups/nothing/pause"), 404, "there is no group nothing"),
        (api.get("campaigns/nothing"), 404, "there is no nothing"),
        (api.get("campaigns/nothing/why"), 404, "there is no campaign nothing"),
    ):
        assert response.status_code == status
        assert message in response.text
    assert api.get("groups/harbour-tea").json()["bid"] == "0.25"


def test_reports_and_reasons_are_there(api, parts):
    shown(parts, "tea")
    parts.ads.tick()
    assert api.get("report").json()["campaigns"][0]["campaign"] == "harbour-tea"
    reasons = api.get("campaigns/harbour-tea/why").json()["reasons"]
    assert reasons == [{"group": "harbour-tea", "reason": "offered", "times": 1}]


def test_strangers_may_do_none_of_it(parts, served):
    from rookery.gateway.guard import Guard

    strange = {"x-forwarded-for": "203.0.113.9", "host": "ads.example"}
    guard = Guard(allowed_hosts=frozenset({"ads.example"}), is_public=True)
    with served(create_app(parts, SystemClock(), guard=guard)) as address:
        for method, path in (("GET", "export"), ("POST", "import"), ("POST", "ads/x/approve")):
            refused = httpx2.request(method, f"{address}ads/v1/{path}", headers=strange)
            assert refused.status_code in (401, 403)
