"""The gate's laws: what the author kept private stays out under every policy."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.posts.event import CAUSES
from rookery.posts.post import CONSENT_FIELD, USES, VISIBILITIES, Post, to_table
from rookery.posts.restrictions import Restrictions
from rookery.posts.rights import gate

NOTHING = Restrictions()
POLICIES = ("public", "opt-in")
consents = st.sampled_from([True, False, None])


@st.composite
def some_posts(draw):
    when = draw(st.datetimes())
    fields = {name: draw(consents) for name in CONSENT_FIELD.values()}
    visibility = draw(st.sampled_from(VISIBILITIES))
    return Post(
        id=draw(st.text(max_size=4)),
        author="a",
        text="t",
        created=when,
        visibility=visibility,
        **fields,
    )


def reason(post, use="training", policy="public", restrictions=NOTHING):
    return gate(to_table([post]), use, policy, restrictions)[0].as_py()


@given(some_posts(), st.sampled_from(USES), st.sampled_from(POLICIES))
def test_gate_keeps_only_public_posts_whose_author_did_not_say_no(post, use, policy):
    if reason(post, use, policy) is None:
        consent = getattr(post, CONSENT_FIELD[use])
        assert post.visibility == "public"
        assert consent is not False
        assert policy == "public" or consent is True


@pytest.mark.parametrize("visibility", ["unlisted", "followers", "direct"])
@pytest.mark.parametrize("policy", POLICIES)
def test_gate_refuses_what_is_not_public_even_with_consent(a_post, visibility, policy):
    post = a_post(visibility=visibility, consent_training=True)
    assert reason(post, policy=policy) == "not_public"


def test_gate_never_takes_unknown_visibility_for_public(a_post):
    assert reason(a_post(visibility="unknown", consent_training=True)) == "visibility_unknown"


def test_gate_follows_the_policy_where_the_author_said_nothing(a_post):
    assert reason(a_post(), policy="public") is None
    assert reason(a_post(), policy="opt-in") == "no_opt_in"


def test_gate_asks_for_each_use_apart(a_post):
    post = a_post(consent_training=False)
    assert reason(post, "training") == "author_opted_out"
    assert reason(post, "search") is None


@pytest.mark.parametrize(
    "restrictions", [Restrictions({"1": "forgotten"}), Restrictions(authors={"ada": "forgotten"})]
)
def test_gate_drops_a_forgotten_post_and_a_forgotten_author(a_post, restrictions):
    post = a_post(id="1", author="ada")
    assert reason(post, restrictions=restrictions) == "forgotten"
    assert reason(post, "search", restrictions=restrictions) == "forgotten"


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("cause", CAUSES)
def test_gate_drops_what_is_hidden_for_now_and_says_why(a_post, use, cause):
    assert (
        reason(a_post(id="1", consent_training=True), use, restrictions=Restrictions({"1": cause}))
        == cause
    )
    assert (
        reason(a_post(author="ada"), use, restrictions=Restrictions(authors={"ada": cause}))
        == cause
    )


def test_a_forgotten_author_is_the_reason_before_what_is_said_of_a_post(a_post):
    restrictions = Restrictions({"1": "withheld"}, {"ada": "forgotten"})
    assert reason(a_post(id="1", author="ada"), restrictions=restrictions) == "forgotten"


@given(consents, consents, st.sampled_from(POLICIES))
def test_a_no_of_the_author_or_on_the_post_holds_and_a_yes_of_either_opts_in(
    on_post, by_author, policy
):
    answers = {} if by_author is None else {"a": by_author}
    post = Post(
        "1", "a", "t", datetime(2026, 1, 1, tzinfo=UTC), visibility="public", consent_ads=on_post
    )
    allowed = reason(post, "ads", policy, Restrictions(consent={"ads": answers})) is None
    assert allowed == (
        False not in (on_post, by_author) and (policy == "public" or True in (on_post, by_author))
    )
