"""From an archive of posts to an answer with citations, without a trained model or PyTorch.

python examples/archive_to_answer.py posts.csv "What was seen today?"
"""

import sys
from pathlib import Path

import rookery


def main(archive: str, question: str, folder: str = "archive-home") -> None:
    """Take the archive in, index it, and print the answer to a question."""
    # The home is a folder with everything of one platform. A second run finds its stages done.
    home = rookery.create_home(folder)

    # A file of any known format; a row that is not a usable post is set aside with its reason.
    # `visibility` vouches for a table that does not say who may read its posts.
    report = rookery.ingest(home, [Path(archive)], visibility="public")
    print(f"{report.added:,} posts added, {report.already_there:,} were there already")

    # Only posts that pass the gate of rights for search come into the index.
    built = rookery.build_index(home)
    print(f"{built.posts:,} posts in the index; left out: {built.dropped or 'none'}")

    index = rookery.open_index(home)
    for hit in rookery.search_posts(index, question, limit=3).hits:
        print(f"  {hit.score:.2f}  {hit.author}: {hit.text}")

    # Every sentence is taken from posts, and each post is checked again before it is shown.
    answer = rookery.ask(index, question)
    print(answer.note or "")
    for sentence in answer.sentences:
        cited = ", ".join(answer.sources[number - 1].id for number in sentence.citations)
        print(f"{sentence.text}  [{cited}]")


if __name__ == "__main__":
    main(*sys.argv[1:])
