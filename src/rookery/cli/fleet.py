"""`rookery fleet …`: plan a training run on a GPU cluster, and pause or resume a home's runs.

The arithmetic of a plan is in the package `fleet`, what a pause does in `core/pause.py`.
"""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened
from rookery.fleet.planning.gpus import CATALOGUE

if TYPE_CHECKING:
    from rookery.core.context import Clock
    from rookery.core.home import Home

app = typer.Typer(
    help="Plan a training run on a GPU cluster, and pause or resume the runs of a home.",
    no_args_is_help=True,
)


def _number(text: str) -> int:
    """Return `15e12`, `15T`, `8B`, `300M` or `1000` as a whole number."""
    units = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
    try:
        if text and text[-1].upper() in units:
            return round(float(text[:-1]) * units[text[-1].upper()])
        return round(float(text))
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not a number such as 15e12, 15T or 8B") from None


@app.command()
def plan(
    tokens: Annotated[
        int,
        typer.Option(
            parser=_number, metavar="N", help="Tokens to train on, such as 15T, 160B or 15e12."
        ),
    ],
    gpus: Annotated[int, typer.Option(help="The number of GPUs.")] = 8,
    gpu: Annotated[
        str, typer.Option(help=f"The kind of GPU: {', '.join(gpu.name for gpu in CATALOGUE)}.")
    ] = "h100",
    parameters: Annotated[
        int | None,
        typer.Option(
            parser=_number,
            metavar="N",
            help="Parameters of the model, such as 70B. Without it: one for every 20 tokens.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Plan a training run: model, layout, step time, days, memory and cost, each with its formula.

    This is arithmetic only: nothing is started, and no GPU is needed.
    """
    from rookery.cli.show import show_json, show_table
    from rookery.core.config import to_plain
    from rookery.fleet.plan import plan

    made = plan(tokens=tokens, gpus=gpus, gpu=gpu, parameters=parameters)
    if as_json:
        show_json(to_plain(made) | {"layout": made.layout.to_dict()})
        return
    show_table(
        ["what", "value", "unit", "formula"],
        [[q.name, q.value, q.unit, q.formula] for q in made.quantities],
    )
    if made.duties:
        print("\nLaws with a threshold of compute that this run passes:")
    for duty in made.duties:
        print(f"  - {duty}")
    print("\nWhat this plan does not account for:")
    for weakness in made.weaknesses:
        print(f"  - {weakness}")


@app.command()
def pause(
    reason: Annotated[
        str, typer.Option(help="The reason, shown to everybody whose run is refused.")
    ] = "",
    wait_seconds: Annotated[
        float, typer.Option(help="Wait at most this many seconds for running work to stop.", min=0)
    ] = 60,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Stop all training of the home at its next step, and refuse new runs until `resume`.

    The state of a training run is saved before it stops. Other stages finish first.
    """
    from rookery.cli.show import context, show_table
    from rookery.core import pause as home_pause

    opened_home, clock = opened(home), context().clock
    current = home_pause.pause(opened_home, reason, clock)
    print(
        f"Paused since {current.since:%Y-%m-%d %H:%M} UTC. `rookery fleet resume` lets runs "
        f"begin again."
    )
    still = _running_after(opened_home, wait_seconds, clock)
    if still:
        print("Still running; training stops at its next step, any other stage at its end:")
        show_table(["started", "kind", "key"], [[a["started"], a["kind"], a["key"]] for a in still])
    else:
        print("Nothing is running.")


@app.command()
def resume(home: HomeOption = DEFAULT_HOME) -> None:
    """Let runs begin again after `pause`.

    A run that was stopped goes on when the same command is given again.
    """
    from rookery.core import pause as home_pause

    print(
        "Runs may begin again." if home_pause.resume(opened(home)) else "The home was not paused."
    )


def _running_after(home: "Home", wait_seconds: float, clock: "Clock") -> list[dict[str, Any]]:
    """Wait until no run is at work or the time is up, and return the runs that still are."""
    from rookery.core.runs import read_runs

    until = clock.monotonic_seconds() + wait_seconds
    while True:
        running = [attempt for attempt in read_runs(home) if attempt["state"] == "running"]
        if not running or clock.monotonic_seconds() >= until:
            return running
        time.sleep(0.2)
