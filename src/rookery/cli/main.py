"""The command `rookery`: its verbs, and the one place where an error becomes a line and an exit
code.

Nothing heavy is imported here: a verb imports its package when it runs, so that `--help` is quick.
"""

import errno
import sys

import typer

from rookery.cli import ads, corpus, demo, fleet, home, model, posts, search
from rookery.core.errors import RookeryError, StorageError, UsageError

app = typer.Typer(
    name="rookery",
    help="A social platform's own generative AI, made of its own posts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(posts.app, name="posts")
app.add_typer(corpus.app, name="corpus")
app.add_typer(model.app, name="model")
app.add_typer(search.app, name="search")
app.add_typer(ads.app, name="ads")
app.add_typer(fleet.app, name="fleet")
app.command("demo")(demo.demo)
for verb in (home.init, home.runs, home.trace, home.serve):
    app.command()(verb)


def main() -> None:
    """Run a command: exit 0 done, 2 wrong use or bad input (one line on stderr), 1 for the rest."""
    try:
        code = app(
            standalone_mode=False
        )  # with it typer would draw a box of its own around wrong use
        sys.exit(code if isinstance(code, int) else 0)
    except RookeryError as error:
        _end(error)
    except (
        typer.TyperException
    ) as error:  # without a message it has shown the help of a bare `rookery`
        if not error.format_message():
            sys.exit(2)
        context = getattr(error, "ctx", None)
        hint = f"See {context.command_path if context else 'rookery'} --help"
        _end(UsageError(error.format_message().rstrip("."), hint=hint))
    except OSError as error:
        if error.errno == errno.EPIPE:
            sys.exit(0)  # the reader of our output has gone
        if (told := StorageError.of(error)) is None:
            raise
        _end(told)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)


def _end(error: RookeryError) -> None:
    print(f"rookery: {error.line()}", file=sys.stderr)
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
