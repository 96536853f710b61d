"""`rookery serve`: the web page and the API, on this machine or, if asked to, on the network.

How requests are answered, and who may come in, is in the package `gateway`.
"""

from pathlib import Path
from typing import Annotated

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, opened


def serve(
    host: Annotated[
        str | None,
        typer.Option(help="The address to listen on. Without it: host in rookery.toml, 127.0.0.1."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="The port; 0 takes a free one. Without it: port in rookery.toml, 8700."),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            help="A name under which the server may be asked for, beside localhost, its own "
            "address and allowed_hosts in rookery.toml. May be repeated."
        ),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            help="A file whose first line is the password of every page; with --public, of the "
            "ads report alone. Any user name goes with it."
        ),
    ] = None,
    public: Annotated[
        bool,
        typer.Option(
            "--public", help="Let everybody who can reach the server search and generate."
        ),
    ] = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Serve the web page and the OpenAI-compatible API until Ctrl-C.

    On an address that the network can reach it starts only with --password-file or --public.
    """
    from rookery.cli.show import context
    from rookery.gateway.serve import serve

    serve(
        opened(home),
        host,
        port,
        context(),
        lambda url: print(f"Open {url}", flush=True),
        allowed_hosts=allowed_host or (),
        password_file=password_file,
        is_public=public,
    )
