"""Whatever a post came in and whoever takes it back, at any point: after an erasure no file of the
home holds its words, and `trace` is right before and after.
"""

import json
import re
import shutil
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.core.context import Context
from rookery.core.home import Home, create_home, open_home
from rookery.core.protocols import HashedEmbedder
from rookery.corpus.build import build_corpus
from rookery.corpus.document import read_documents
from rookery.corpus.shards import write_shards
from rookery.model.tokenizer import load_tokenizer, train_tokenizer
from rookery.posts.forget import forget
from rookery.posts.ingest import ingest
from rookery.posts.lake import open_lake
from rookery.search.build import build_index
from rookery.town.posts import TownConfig, town_posts
from rookery.workflows.erase import erase
from rookery.workflows.trace import trace
from tests.workflows.every_source import SAMPLES, WORDS, real_samples
from tests.workflows.full_home import in_lake, walk

WAYS = ("its id", "its author", "its network")
POINTS = ("before it came", "in the lake", "learned from", "after another erasure")


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Home:
    """A home with the posts of a town; not to be changed."""
    home = create_home(tmp_path_factory.mktemp("base") / "home")
    in_lake(home, *town_posts(TownConfig(posts=200)))
    return home


def copied(base: Home, folder: Path) -> Home:
    shutil.copytree(base.path, folder / "home")
    return open_home(folder / "home")


def learn(home: Home) -> set[str]:
    """Make all that is made of posts, and return the posts of the training documents."""
    corpus = build_corpus(home, Context())
    tokenizer = train_tokenizer(home, corpus, Context(), 384)
    write_shards(home, corpus, load_tokenizer(tokenizer), Context())
    build_index(home, HashedEmbedder(), Context())
    batches = read_documents(corpus, "train", ["post_ids"])
    return {post for batch in batches for of in batch["post_ids"].to_pylist() for post in of}


def rows_of(home: Home) -> dict[str, dict]:
    batches = open_lake(home).batches(["id", "author", "text"])
    return {row["id"]: row for batch in batches for row in batch.to_pylist()}


def taken_back(base: Home, folder: Path, name: str, number: int, way: str, point: str) -> None:
    """Take one post back, and check that nothing of it is left and that `trace` says so."""
    sample, home = SAMPLES[name], copied(base, folder)
    way = "its id" if sample.delete is None and way == "its network" else way
    elsewhere = copied(base, folder / "elsewhere")
    sample.take(elsewhere, folder)
    (post,) = [row for row in rows_of(elsewhere).values() if WORDS[number] in row["text"]]

    def take_back() -> None:
        if way == "its network":
            sample.delete_by_network(home, folder, number)
        else:
            forget(home, *([post["id"]], []) if way == "its id" else ([], [post["author"]]))

    learned: set[str] = set()
    if point == "before it came":
        take_back()
        sample.take(home, folder)
    else:
        sample.take(home, folder)
        if point == "after another erasure":
            forget(home, [min(rows_of(base))])  # of the town
            erase(home, Context())
        if point != "in the lake":
            learned = learn(home)
        assert walk(home, WORDS[number].encode()), "the walk does not see it where it is"
        take_back()
    was_here = point != "before it came"
    owed = check(home, post["id"], [WORDS[number]], was_here, learned)
    gone = rows_of(elsewhere).keys() - rows_of(home).keys()
    assert bool(owed) == bool(gone & learned)


def check(home: Home, post: str, words: list[str], was_here: bool, learned: set[str]) -> list:
    """Erase, check the files and `trace` before and after, and return what is owed."""
    before = trace(home, post)
    assert before["forgotten"]
    assert before["in_lake"] == was_here
    owed = {p["place"] for p in before["places"] if p["owed"]}
    assert owed >= {p["place"] for p in before["places"] if p["how"] == "holds"}
    result = erase(home, Context())
    for word in words:
        assert walk(home, word.encode()) == set()
    after = trace(home, post)
    assert after["forgotten"]
    assert not after["in_lake"]
    assert {p["how"] for p in after["places"]} <= {"held", "derives"}
    kinds = {p["place"].split()[0] for p in after["places"] if p["owed"]}
    assert kinds == ({"tokenizer"} if post in learned else set())
    assert kinds <= {one["place"].split()[0] for one in result["owed"]}
    return result["owed"]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_post_of_any_source_that_is_taken_back_is_gone(base, tmp_path, name):
    chance = Random(name)
    number, way, point = chance.randrange(3), chance.choice(WAYS), chance.choice(POINTS)
    taken_back(base, tmp_path, name, number, way, point)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.sampled_from(sorted(SAMPLES)),
    st.integers(0, 2),
    st.sampled_from(WAYS),
    st.sampled_from(POINTS),
)
def test_so_it_is_in_every_way_and_at_every_point(base, tmp_path_factory, name, number, way, point):
    taken_back(base, tmp_path_factory.mktemp("home"), name, number, way, point)


@pytest.mark.slow
def test_so_it_is_with_the_real_samples(base, tmp_path, shared_data):
    paths = real_samples(shared_data / "formats")
    assert len(paths) >= 5
    town_only = copied(base, tmp_path)
    learn(town_only)
    for n, path in enumerate(paths):
        folder = tmp_path / str(n)
        home = copied(base, folder)
        town = set(rows_of(home))
        ingest(home, [path], None, Context())
        rows = {id: row for id, row in rows_of(home).items() if id not in town}
        said = {id: json.dumps(row, default=str) for id, row in rows_of(home).items()}
        own = {
            id: [w for w in sorted(words_in(row["text"])) if is_own(w, id, row, said)]
            for id, row in rows.items()
        }
        chosen = [id for id, words in own.items() if words][:2]
        learned = learn(home)
        for post in chosen:
            # words of the town and of pages are found without the post
            words = [w for w in own[post] if walk(home, w.encode())]
            words = [w for w in words if not walk(town_only, w.encode())][:2]
            way = ([post], []) if post == chosen[0] else ([], [rows[post]["author"]])
            forget(home, *way)
            if trace(home, post)["in_lake"]:  # it may be of the author who went before
                check(home, post, words, was_here=True, learned=learned)


def is_own(word: str, post: str, row: dict, said: dict[str, str]) -> bool:
    """Whether a word stands in the text of this post alone, also as a part of longer words."""
    beside = json.dumps({name: row[name] for name in row if name != "text"}, default=str)
    return word not in beside and [id for id in said if word in said[id]] == [post]


def words_in(text: str) -> set[str]:
    return {word for word in re.findall(r"[A-Za-z]{7,}", text)}
