"""`rookery search …`: index the posts, search them, ask them."""

from pathlib import Path
from typing import Annotated

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened

app = typer.Typer(help="Given words, which posts, in what order.", no_args_is_help=True)


@app.command("index")
def build(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Index every post that may be searched, with vectors of the newest model if there is one."""
    from rookery.cli.show import context, show_facts, show_json
    from rookery.core.config import to_plain
    from rookery.search.index import build_index
    from rookery.workflows.models import embedder_of

    opened_home = opened(home)
    report = to_plain(build_index(opened_home, embedder_of(opened_home), context()))
    show_json(report) if as_json else show_facts(report, "Search index")


@app.command()
def query(
    text: Annotated[
        str, typer.Argument(help='Words, "phrases", OR, -not, from: since: until: lang: #tag …')
    ],
    limit: Annotated[int, typer.Option(help="How many posts.", min=1, max=1000)] = 10,
    mode: Annotated[str, typer.Option(help="best or latest.")] = "best",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Search the posts."""
    from rookery.cli.show import show_json, show_table
    from rookery.core.config import to_plain
    from rookery.core.errors import UsageError
    from rookery.search.index import open_index
    from rookery.search.search import search
    from rookery.workflows.models import embedder_of

    if mode not in ("best", "latest"):
        raise UsageError(f"there is no mode {mode!r}", hint="Take best or latest")
    opened_home = opened(home)
    results = search(
        open_index(opened_home, embedder_of(opened_home)), text, limit=limit, mode=mode
    )
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
    question: Annotated[str, typer.Argument(help="A question to the posts.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Answer from the posts; every sentence names the posts it comes from."""
    from rookery.cli.show import show_json
    from rookery.core.config import to_plain
    from rookery.search.ask import answer
    from rookery.search.index import open_index
    from rookery.workflows.models import embedder_of

    opened_home = opened(home)
    found = answer(open_index(opened_home, embedder_of(opened_home)), question)
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
    folder: Annotated[Path, typer.Argument(help="A judged collection in BEIR layout.")],
    qrels: Annotated[str, typer.Option(help="Which judgments: qrels/NAME.tsv.")] = "test",
    system: Annotated[
        list[str] | None, typer.Option(help="bm25, dense or hybrid; repeatable.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Measure search on judged queries: nDCG@10, MAP, recall@100, P@30, MRR."""
    from rookery.cli.show import context, show_json, show_table
    from rookery.core.home import SETTINGS
    from rookery.core.protocols import HashedEmbedder
    from rookery.search.evaluate import evaluate
    from rookery.workflows.models import embedder_of

    embedder = embedder_of(opened(home)) if (home / SETTINGS).exists() else HashedEmbedder()
    result = evaluate(folder, qrels, system or ["bm25"], embedder, context())
    if as_json:
        show_json(result)
    else:
        names = ["ndcg@10", "map", "recall@100", "p@30", "mrr", "queries"]
        show_table(
            ["system", *names], [[s, *(m[n] for n in names)] for s, m in result["systems"].items()]
        )
