"""Who may read: columns are found by name, understood or refused, and the narrowest holds."""

import pyarrow as pa
import pytest

from rookery.posts.sources.tables.visibility import VisibilityJudge, narrowest, what_it_says


@pytest.mark.parametrize(
    ("name", "says"),
    [
        *(
            (name, "audience")
            for name in (
                "visibility", "Visibility", "VISIBILITY ", "post_visibility", "postVisibility",
                "status.visibility_level", "Visibility Type", "privacy", "privacySetting",
                "audience", "Audience type", "scope", "access_level", "whoCanSee",
            )
        ),
        *(
            (name, "closed")
            for name in (
                "protected", "author.protected", "Author_Protected", "isProtected",
                "user.is_private", "private", "PRIVATE", "isprivate", "private_account",
                "is_private_post",
            )
        ),
        *(
            (name, "open")
            for name in ("public", "is_public", "isPublic", "IsPublic", "public_post")
        ),
        *(
            (name, "hiding")
            for name in (
                "hidden", "is_hidden", "unlisted", "followers_only", "withheld.country_codes",
                "protected_at", "is_direct_message", "hidden_at",
            )
        ),
        ("visible", "shown"),
        *(
            (name, None)
            for name in (
                "id", "text", "author", "followers", "following", "publish_date", "published_at",
                "publisher", "public_id", "public_metrics.like_count", "author.public_metrics",
                "public_repos", "audience_size", "privacy_policy", "last_access", "retweet",
                "post_type", "score_hidden", "", "2020", "reply_settings", "verified",
            )
        ),
    ],
)  # fmt: skip
def test_a_name_speaks_of_readers_or_not(name, says):
    assert what_it_says(name) == says


def visibilities(name, values, otherwise="public"):
    column = pa.array(values)
    judge = VisibilityJudge(what_it_says(name))
    judge.look(column)
    reading = judge.reading()
    assert reading.refusal is None
    return narrowest([reading.read(column)], otherwise, len(column)).to_pylist()


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("visibility", ["Public", "FOLLOWERS_ONLY", "membersOnly", "direct", None, "odd"],
         ["public", "followers", "followers", "direct", "unknown", "unknown"]),
        ("author.protected", [True, False, None], ["followers", "public", "unknown"]),
        ("protected", ["True", "0", "NaN"], ["followers", "public", "unknown"]),
        ("is_public", ["yes", "no"], ["public", "unknown"]),
        ("hidden", ["1", "0", ""], ["unknown", "public", "public"]),
        ("withheld.country_codes", ['["DE"]', "[]", ""], ["unknown", "public", "public"]),
        ("audience", ["https://www.w3.org/ns/activitystreams#Public", "as:Public"], ["public"] * 2),
        ("audience", [None, ""], ["unknown"] * 2),
    ],
)  # fmt: skip
def test_words_of_networks_are_understood(name, values, found):
    assert visibilities(name, values) == found


def test_a_column_that_says_nothing_leaves_the_word_to_the_person():
    assert visibilities("hidden", ["0"], "unknown") == ["unknown"]
    assert visibilities("protected", ["no"], "unknown") == ["public"]


@pytest.mark.parametrize(
    ("name", "values"), [("visibility", ["3", "7"]), ("privacy", ["true"]), ("isPrivate", ["x"])]
)
def test_a_column_of_which_no_word_is_understood_is_refused_with_two_values(name, values):
    judge = VisibilityJudge(what_it_says(name))
    judge.look(pa.array(values))
    assert " and ".join(map(repr, values)) in judge.reading().refusal


def test_of_several_columns_the_narrowest_holds():
    columns = {"visibility": ["public", "direct", "public"], "protected": ["no", "no", "yes"]}
    places = []
    for name, values in columns.items():
        judge = VisibilityJudge(what_it_says(name))
        judge.look(pa.array(values))
        places.append(judge.reading().read(pa.array(values)))
    assert narrowest(places, "public", 3).to_pylist() == ["public", "direct", "followers"]
