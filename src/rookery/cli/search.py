"""`rookery search …`: index the posts, search them, and answer questions from them.

Ranking, answers and the query language are in the package `search`.
"""

import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, one_of, opened
from rookery.search.engine.operators import rows

if TYPE_CHECKING:
    from rookery.core.home import Home
    from rookery.core.protocols import Embedder
    from rookery.search.scope import KnownReader

ReaderOption = Annotated[
    str | None,
    typer.Option(
        "--reader",
        help="Ask as this reader, whose blocks, mutes and wishes hold (`rookery search readers`).",
    ),
]

app = typer.Typer(
    help="Index the posts, search them, and answer questions from them.", no_args_is_help=True
)


def _queries() -> str:
    """Return the table of what a query may say, for the help."""
    lines = ["What a query may say, and which posts that finds:", ""]
    for written, finds, _ in rows():
        first, *more = textwrap.wrap(finds, 42)
        lines += [f"{written:<34}{first}", *(" " * 34 + line for line in more)]
    return "\n".join(lines)


@app.command("index")
def build(
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="Keep the index current until Ctrl-C: what arrives is found within half a second. "
            "`rookery serve` does this by itself.",
        ),
    ] = False,
    parent: Annotated[
        int, typer.Option(hidden=True, help="End with this process, whose follower this is.")
    ] = 0,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Bring the index up to date with every post that may be searched, for words and for vectors.

    The vectors are those of the newest model; without one, of hashed words.
    """
    from rookery.cli.show import context, show_facts, show_json
    from rookery.core.config import to_plain
    from rookery.workflows.search import build_index, follow_index

    if follow:
        # a server's own follower ends with it, however the server ends
        follow_index(opened(home), context(), lambda: bool(parent) and os.getppid() != parent)
        return
    report = to_plain(build_index(opened(home), context()))
    show_json(report) if as_json else show_facts(report, "Search index")


@app.command(epilog=_queries())
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
    cursor: Annotated[
        str | None, typer.Option(help="Go on behind the page that printed this.")
    ] = None,
    reader: ReaderOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Search the posts of the home, and offer another spelling of words that hardly any has."""
    from rookery.cli.show import show_json, show_table
    from rookery.core.config import to_plain
    from rookery.search.search import Mode, search_posts
    from rookery.search.suggest import correction
    from rookery.workflows.search import open_index

    modes: tuple[Mode, ...] = get_args(Mode)
    order = one_of(mode, modes, "--mode")
    place = opened(home)
    known, index = _reader(place, reader), open_index(place)
    results = search_posts(index, text, limit, order, cursor, reader=known)
    other = correction(index, text) if cursor is None else None
    lag = index.lag()
    if as_json:
        behind = {} if lag is None else {"lag": lag.to_dict()}
        show_json(to_plain(results) | {"did_you_mean": other} | behind)
    else:
        print(f"Understood: {results.understood}\n")
        if lag is not None:
            print(f"{lag.line()}\n")
        if other is not None:
            print(f"Did you mean: {other}\n")
        show_table(
            ["score", "author", "created", "lang", "text"],
            [
                [h.score, h.author, f"{h.created:%Y-%m-%d %H:%M}", h.language, h.text]
                for h in results.hits
            ],
        )
        if results.cursor is not None:
            print(f"\nMore with --cursor {results.cursor}")


@app.command()
def suggest(
    prefix: Annotated[
        str, typer.Argument(help="The beginning of a word: #ni, from:ada, or ada for both.")
    ],
    limit: Annotated[int, typer.Option(help="Show at most so many.", min=1, max=100)] = 8,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Complete the beginning of a word: tags that five authors use, and names of authors."""
    from rookery.cli.show import show_json
    from rookery.search.suggest import completions
    from rookery.workflows.search import open_index

    found = completions(open_index(opened(home)), prefix, limit)
    if as_json:
        show_json({"suggestions": list(found)})
        return
    for word in found:
        print(word)


@app.command()
def trends(
    limit: Annotated[int, typer.Option(help="Show at most so many.", min=1, max=100)] = 10,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show the tags that more authors wrote in the last seven days than in the seven before."""
    from rookery.cli.show import show_json, show_table
    from rookery.core.config import to_plain
    from rookery.search.suggest import trends
    from rookery.workflows.search import open_index

    found = trends(open_index(opened(home)), limit)
    if as_json:
        show_json({"trends": [to_plain(trend) for trend in found]})
    else:
        rows = [[trend.text, trend.posts, trend.posts_before] for trend in found]
        show_table(["tag", "posts", "the week before"], rows)


@app.command()
def ask(
    question: Annotated[
        str, typer.Argument(help='The question, for example "When does the spring regatta start?".')
    ],
    reader: ReaderOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Answer a question from the posts; every sentence of the answer cites its posts."""
    from rookery.cli.show import show_json
    from rookery.core.config import to_plain
    from rookery.search.answers.answer import ask
    from rookery.workflows.models import generator_of
    from rookery.workflows.search import open_index, writer_of

    place = opened(home)
    known = _reader(place, reader)
    writer = writer_of(place, lambda: generator_of(place))
    index = open_index(place)
    found, lag = ask(index, question, writer, known), index.lag()
    if as_json:
        show_json(to_plain(found) | ({} if lag is None else {"lag": lag.to_dict()}))
        return
    for sentence in found.sentences:
        print(f"  {sentence.text} {''.join(f'[{n}]' for n in sentence.citations)}")
    for number, source in enumerate(found.sources, 1):
        print(f"\n  [{number}] {source.author}, {source.created:%Y-%m-%d}: {source.cited}")
    if found.since and found.until:
        authors = f"{found.authors} author{'' if found.authors == 1 else 's'}"
        print(f"\n  From {authors}, {found.since:%Y-%m-%d} to {found.until:%Y-%m-%d}.")
    if found.unsupported:
        print(f"\n  Sentences left out, since posts do not bear them out: {found.unsupported}")
    if found.note:
        print(f"\n  {found.note}")
    if lag is not None:
        print(f"\n  {lag.line()}")


@app.command()
def readers(
    file: Annotated[
        Path | None,
        typer.Argument(
            help='JSON lines, one for each reader: {"name": "ada", "blocks": ["bob"], "mutes": [], '
            '"muted_words": ["match fixing"], "country": "DE", "sensitive": false}. Each takes the '
            "place of what was known of that reader."
        ),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(help="A reader to know no more. May be repeated.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Tell search whom and what readers block and mute, for `--reader`; it holds at once."""
    from rookery.cli.show import show_facts, show_json
    from rookery.core.errors import UsageError
    from rookery.search.readers import read_readers, remove_readers, store_readers

    if file is None and not remove:
        raise UsageError("there is nothing to do", hint="Give a FILE of readers, or --remove NAME")
    place = opened(home)
    stored = store_readers(place, read_readers(file)) if file is not None else 0
    removed = remove_readers(place, remove) if remove else 0
    report = {"stored": stored, "removed": removed}
    show_json(report) if as_json else show_facts(report, "Readers")


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
        typer.Option(
            help="What to measure: bm25 (the default), feedback, dense, hybrid or best. May be "
            "repeated."
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Weights of the ranker, instead of those that the home uses."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Measure search on queries with relevance judgments: nDCG@10, MAP, recall@100, P@30, MRR.

    dense, hybrid and best use the vectors of the home's newest model, if there is one. Beside bm25,
    the difference of each other system is shown with its interval of 95%.
    """
    from rookery.cli.show import context, show_json, show_table
    from rookery.search.evaluate import evaluate
    from rookery.search.index import weights_of
    from rookery.search.ranking.ranker import read_weights

    own = weights_of(opened(home)) if _is_home(home) else None
    used = own if weights is None else read_weights(weights)
    result = evaluate(folder, qrels, system or ["bm25"], _embedder(home), context(), used)
    if as_json:
        show_json(result)
        return
    names = ["ndcg@10", "map", "recall@100", "p@30", "mrr", "queries"]
    show_table(
        ["system", *names], [[s, *(m[n] for n in names)] for s, m in result["systems"].items()]
    )
    compared = {f"{s} - bm25": d for s, d in result.get("against_bm25", {}).items()}
    if "model" in result:
        compared[f"vectors in best ({result['best']})"] = result["model"]
    if compared:
        names = ["difference", "low", "high", "p"]
        show_table(["ndcg@10", *names], [[c, *(d[n] for n in names)] for c, d in compared.items()])


@app.command()
def learn(
    folders: Annotated[
        list[Path], typer.Argument(help="Judged collections in BEIR layout, as for evaluate.")
    ],
    qrels: Annotated[
        list[str] | None,
        typer.Option(
            help="Which relevance judgments: given once for all folders, or once for each. Without "
            "it train, or test where there is no train."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("search-weights.json"),
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Learn the weights by which search ranks from judged collections, and show what each is worth.

    The vectors are those of the home's newest model, if there is one. `rookery.toml` says which
    weights search uses: [search] weights.
    """
    from rookery.cli.show import context, show_json, show_table
    from rookery.core.atomic import write_atomically
    from rookery.search.learn import learn, sources_of
    from rookery.search.ranking.features import FEATURES
    from rookery.search.ranking.ranker import weights_json

    found = learn(sources_of(folders, qrels or []), _embedder(home), context())
    write_atomically(out, weights_json(found.weights).encode())
    if as_json:
        show_json(dict(found.weights.provenance) | {"file": str(out)})
        return
    columns = ["name", "qrels", "texts", "queries", "bm25", "cross_validated", "left_out"]
    show_table(columns, [[c.get(name, "") for name in columns] for c in found.collections])
    pairs = zip(FEATURES, found.weights.short.tolist(), found.weights.long.tolist(), strict=True)
    show_table(
        ["feature", "worth (ndcg@10)", "short queries", "long queries"],
        [[name, found.worth[name], round(s, 3), round(g, 3)] for name, s, g in pairs],
    )
    print(f"Weights: {out}")


def _reader(home: "Home", name: str | None) -> "KnownReader | None":
    from rookery.search.readers import reader_named

    return None if name is None else reader_named(home, name)


def _is_home(path: Path) -> bool:
    from rookery.core.home import SETTINGS

    return (path / SETTINGS).exists()


def _embedder(home: Path) -> "Embedder":
    """Return the embedder of a home, or the untrained one where there is no home."""
    from rookery.core.protocols import HashedEmbedder
    from rookery.workflows.models import embedder_of

    return embedder_of(opened(home)) if _is_home(home) else HashedEmbedder()
