"""The command `rookery`: all verbs, and the one place where an error becomes a line and a code.

Nothing heavy is imported here: a verb imports its package when it runs, so that `--help` and shell
completion are quick. The verbs themselves are in the modules beside this one.
"""

import errno
import sys
from typing import Annotated

import typer

import rookery.cli.ads_predict
import rookery.cli.ads_sold
import rookery.cli.model_files
import rookery.cli.model_write  # noqa: F401 - the verbs of all four join those of `ads` and `model`
from rookery import __version__
from rookery.cli import (
    ads,
    corpus,
    demo,
    fleet,
    home,
    model,
    model_represent,
    posts,
    saved,
    search,
    serve,
)
from rookery.cli.options import EarlyHomeOption
from rookery.core.errors import RookeryError, StorageError, UsageError
from rookery.core.extras import missing_package

NAME = "rookery"

app = typer.Typer(
    name=NAME,
    help="Make a social platform's own generative AI from its own posts.",
    epilog="Start with `rookery demo`, which runs everything once on synthetic posts. With posts "
    "of your own: `rookery init`, then `rookery posts ingest FILE`. Every command explains itself "
    "with --help.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(posts.app, name="posts")
app.add_typer(corpus.app, name="corpus")
app.add_typer(model.app, name="model")
app.add_typer(search.app, name="search")
search.app.add_typer(saved.app, name="saved")
app.add_typer(ads.app, name="ads")
app.add_typer(fleet.app, name="fleet")
app.command("demo")(demo.demo)
model.app.command()(model_represent.embed)
model.app.command()(model_represent.probe)
for verb in (home.init, home.runs, home.trace, serve.serve):
    app.command()(verb)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"{NAME} {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
    home: EarlyHomeOption = None,
) -> None:
    """Read the options that come before the verb."""


def main() -> None:
    """Run a command: exit 0 done, 2 wrong use or bad input (one line on stderr), 1 for the rest."""
    try:
        # in its standalone mode typer would draw a box of its own around wrong use
        code = app(prog_name=NAME, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except RookeryError as error:
        _end(error)
    except typer.TyperException as error:
        if not error.format_message():  # the help of a bare `rookery` is on the screen already
            sys.exit(2)
        context = getattr(error, "ctx", None)
        hint = f"See {context.command_path if context else NAME} --help"
        _end(UsageError(error.format_message().rstrip("."), hint=hint))
    except ImportError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        _end(missing)
    except OSError as error:
        if error.errno == errno.EPIPE:
            sys.exit(0)  # whoever read the output has closed it
        storage = StorageError.of(error)
        if storage is None:
            raise
        _end(storage)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)


def _end(error: RookeryError) -> None:
    print(f"{NAME}: {error.line()}", file=sys.stderr)
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
