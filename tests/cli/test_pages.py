"""Pages that a person asks for are written to the file they name, or refused in one line."""

import pytest

from rookery.cli.corpus import report as corpus_report
from rookery.cli.model import report as model_report
from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.corpus.build import build_corpus
from rookery.workflows.train import train

WORDS = ("rooks", "trams", "bread", "rowing")


@pytest.fixture
def full_home(home, put, a_post):
    """A home with posts, a corpus and a tiny model."""
    put(
        *(
            a_post(f"today {a} were better than {b}, said number {n}")
            for n, a in enumerate(WORDS)
            for b in WORDS
        )
    )
    build_corpus(home, Context())
    train(home, 0.0001, settings=["steps=2"])
    return home


def test_a_page_is_written_where_it_is_asked_for_or_refused(full_home, tmp_path):
    for show in (
        lambda page: corpus_report(page, full_home.path),
        lambda page: model_report(None, page, full_home.path),
    ):
        page = tmp_path / "page.html"
        show(page)
        assert page.read_text(encoding="utf-8").rstrip().endswith("</html>")
        page.unlink()
        for nowhere in (tmp_path / "not there" / "page.html", tmp_path):
            with pytest.raises(UsageError, match="the page cannot be written"):
                show(nowhere)
