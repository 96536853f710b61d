"""Links that X shortened are expanded by their names, and by nothing but what an entity says."""

import pytest

from rookery.posts.sources.x_links import expanded

ROOKS = {"url": "https://t.co/aB1", "expanded_url": "https://example.org/rooks?a=1&b=2"}
PICTURE = {"url": "https://t.co/pic", "expanded_url": "https://twitter.com/ada/status/1/photo/1"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://t.co/aB1", "see https://example.org/rooks?a=1&b=2"),
        ("http://t.co/aB1, twice https://t.co/aB1.", "{0}, twice {0}."),
        ("鳥https://t.co/aB1鳥", "鳥{0}鳥"),
        ("👩‍🚀🐦 before it https://t.co/aB1", "👩‍🚀🐦 before it {0}"),
        ("another https://t.co/aB12 and one cut off https://t.co/a…", None),
        ("no link, t.co/aB1", None),
    ],
)
def test_a_link_is_found_by_its_whole_name(text, expected):
    wanted = text if expected is None else expected.format(ROOKS["expanded_url"])
    assert expanded(text, {"urls": [ROOKS]}) == wanted


def test_pictures_and_several_sets_of_entities():
    text = "look https://t.co/pic https://t.co/aB1"
    archive = {"urls": [], "media": [PICTURE]}
    note = {"urls": [{"shortUrl": ROOKS["url"], "expandedUrl": ROOKS["expanded_url"]}]}
    assert expanded(text, archive, None, note) == (
        f"look {PICTURE['expanded_url']} {ROOKS['expanded_url']}"
    )


@pytest.mark.parametrize(
    "entities",
    [
        None,
        "urls",
        {"urls": "https://t.co/aB1"},
        {"urls": [None, "x", {}]},
        {"urls": [{"url": 5, "expanded_url": ["x"]}]},
        {"urls": [{"url": "https://t.co/aB1", "expanded_url": None}]},
        {"urls": [{"url": "https://t.co/aB1", "expanded_url": "https://a.org/ and more words"}]},
        {"urls": [{"url": "https://t.co/aB1", "expanded_url": "javascript:alert(1)"}]},
        {"urls": [{"url": "https://t.co/aB1", "expanded_url": "https://a.org/" + "a" * 5000}]},
        {"urls": [{"url": "https://t.co/", "expanded_url": "https://a.org/"}]},
    ],
)
def test_what_is_no_explanation_changes_nothing(entities):
    assert expanded("see https://t.co/aB1", entities) == "see https://t.co/aB1"
