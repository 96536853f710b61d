"""`rookery search …`: index the posts, search them, and answer questions from them.

Ranking, answers and the query language are in the package `search`.
"""

from pathlib import Path
from typing import Annotated, get_args

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, one_of, opened

app = typer.Typer(
    help="Index the posts, search them, and answer questions from them.", no_args_is_help=True
)

QUERIES = """Examples of queries:

night tram                       both words
"night tram"                     the words in this order
tram OR bus                      either word
tram -late                       without a word
(tram OR bus) late               brackets
#rooks  @ada                     a tag, a mention
from:ada  lang:en                an author, a language
since:2026-01-31                 from this day on (UTC)
until:2026-02-28                 before this day
min_likes:5                      at least this many likes"""


@app.command("index")
def build(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Index every post that may be searched, for words and for vectors of the newest model.

    Without a model, the vectors are made of hashed words.
    """
    from rookery.cli.show import context, show_facts, show_json
    from rookery.core.config import to_plain
    from rookery.workflows.search import build_index

    report = to_plain(build_index(opened(home), context()))
    show_json(report) if as_json else show_facts(report, "Search index")


@app.command(epilog=QUERIES)
def query(
    text: Annotated[
        str,
        typer.Argument(
            help="The query, in quotation marks for the shell; see the examples below. A query "
            "that begins with - comes after --."
        ),
    ],
    limit: Annotated[int, typer.Option(help="Show at most this many posts.", min=1, max=1000)] = 10,
    mode: Annotated[
        str, typer.Option(help="best: the most relevant posts first. latest: the newest first.")
    ] = "best",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Search the posts of the home."""
    from rookery.cli.show import show_json, show_table
    from rookery.core.config import to_plain
    from rookery.search.search import Mode, search_posts
    from rookery.workflows.search import open_index

    modes: tuple[Mode, ...] = get_args(Mode)
    order = one_of(mode, modes, "--mode")
    results = search_posts(open_index(opened(home)), text, limit=limit, mode=order)
    if as_json:
        show_json(to_plain(results))
    else:
        print(f"Understood: {results.understood}\n")
        show_table(
            ["score", "author", "created", "lang", "text"],
            [
                [h.score, h.author, f"{h.created:%Y-%m-%d %H:%M}", h.language, h.text]
                for h in results.hits
            ],
        )


@app.command()
def ask(
    question: Annotated[
        str, typer.Argument(help='The question, for example "When does the regatta start?".')
    ],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Answer a question from the posts; every sentence of the answer cites its posts."""
    from rookery.cli.show import show_json
    from rookery.core.config import to_plain
    from rookery.search.ask import ask
    from rookery.workflows.search import open_index

    found = ask(open_index(opened(home)), question)
    if as_json:
        show_json(to_plain(found))
        return
    for sentence in found.sentences:
        print(f"  {sentence.text} {''.join(f'[{n}]' for n in sentence.citations)}")
    for number, source in enumerate(found.sources, 1):
        print(f"\n  [{number}] {source.author}, {source.created:%Y-%m-%d}: {source.text}")
    if found.note:
        print(f"\n  {found.note}")


@app.command()
def evaluate(
    folder: Annotated[
        Path,
        typer.Argument(
            help="A judged collection in BEIR layout: corpus.jsonl, queries.jsonl and "
            "qrels/NAME.tsv."
        ),
    ],
    qrels: Annotated[
        str, typer.Option(help="Which relevance judgments: the NAME in qrels/NAME.tsv.")
    ] = "test",
    system: Annotated[
        list[str] | None,
        typer.Option(help="What to measure: bm25 (the default), dense or hybrid. May be repeated."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Measure search on queries with relevance judgments: nDCG@10, MAP, recall@100, P@30, MRR.

    dense and hybrid use the vectors of the home's newest model, if there is one.
    """
    from rookery.cli.show import context, show_json, show_table
    from rookery.core.home import SETTINGS
    from rookery.core.protocols import Embedder, HashedEmbedder
    from rookery.search.evaluate import evaluate
    from rookery.workflows.models import embedder_of

    has_home = (home / SETTINGS).exists()
    embedder: Embedder = embedder_of(opened(home)) if has_home else HashedEmbedder()
    result = evaluate(folder, qrels, system or ["bm25"], embedder, context())
    if as_json:
        show_json(result)
    else:
        names = ["ndcg@10", "map", "recall@100", "p@30", "mrr", "queries"]
        show_table(
            ["system", *names], [[s, *(m[n] for n in names)] for s, m in result["systems"].items()]
        )
