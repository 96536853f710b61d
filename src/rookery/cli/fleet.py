"""`rookery fleet …`: what a cluster would do before anybody rents it, and a hold on what runs
now.
"""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened
from rookery.fleet.planning.gpus import CATALOGUE

if TYPE_CHECKING:
    from rookery.core.context import Clock
    from rookery.core.home import Home

app = typer.Typer(
    help="What this hardware will do, how long, at what cost; and pausing it.", no_args_is_help=True
)


def _number(text: str) -> int:
    """`15e12`, `15T`, `8B`, `300M` or `1000` as a whole number."""
    units = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
    try:
        if text and text[-1].upper() in units:
            return round(float(text[:-1]) * units[text[-1].upper()])
        return round(float(text))
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no number such as 15e12, 15T or 8B") from None


@app.command()
def plan(
    tokens: Annotated[
        int, typer.Option(parser=_number, metavar="N", help="Tokens to train on, such as 15T.")
    ],
    gpus: Annotated[int, typer.Option(help="How many GPUs.")] = 8,
    gpu: Annotated[
        str, typer.Option(help=f"Which: {', '.join(gpu.name for gpu in CATALOGUE)}.")
    ] = "h100",
    parameters: Annotated[
        int | None,
        typer.Option(
            parser=_number, metavar="N", help="Parameters, such as 70B; else 1 for 20 tokens."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Parameters, layout, step time, days, memory and cost, each with its formula."""
    from rookery.cli.show import show_json, show_table
    from rookery.core.config import to_plain
    from rookery.fleet.plan import PlanRequest, plan

    made = plan(PlanRequest(gpus=gpus, gpu=gpu, tokens=tokens, parameters=parameters))
    if as_json:
        show_json(to_plain(made) | {"layout": made.layout.to_dict()})
        return
    show_table(
        ["what", "value", "unit", "formula"],
        [[q.name, q.value, q.unit, q.formula] for q in made.quantities],
    )
    if made.duties:
        print("\nLaws that look at so much compute:")
    for duty in made.duties:
        print(f"  - {duty}")
    print("\nWhat this first model does not know:")
    for weakness in made.weaknesses:
        print(f"  - {weakness}")


@app.command()
def pause(
    reason: Annotated[str, typer.Option(help="Why; everybody who is refused reads it.")] = "",
    wait_seconds: Annotated[
        float, typer.Option(help="Wait at most so long for running work to stop.", min=0)
    ] = 60,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Stop all training of the home at its next step, saved, and refuse new runs until `resume`."""
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
    """Let runs begin again; a run that was stopped goes on with the same command."""
    from rookery.core import pause as home_pause

    print(
        "Runs may begin again." if home_pause.resume(opened(home)) else "The home was not paused."
    )


def _running_after(home: "Home", wait_seconds: float, clock: "Clock") -> list[dict]:
    """The runs that are still at work when all have stopped or the time is up."""
    from rookery.core.runs import read_runs

    until = clock.monotonic_seconds() + wait_seconds
    while True:
        running = [attempt for attempt in read_runs(home) if attempt["state"] == "running"]
        if not running or clock.monotonic_seconds() >= until:
            return running
        time.sleep(0.2)
