"""`rookery fleet …`: what a cluster would do, before anybody rents it."""

from typing import Annotated

import typer

from rookery.cli.options import JsonOption

app = typer.Typer(help="What this hardware will do, how long, at what cost.", no_args_is_help=True)


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
    tokens: Annotated[int, typer.Option(parser=_number, metavar="N", help="Tokens to train on, such as 15T.")],
    gpus: Annotated[int, typer.Option(help="How many GPUs.")] = 8,
    gpu: Annotated[str, typer.Option(help="Which: h100, h200, a100, …")] = "h100",
    parameters: Annotated[
        int | None, typer.Option(parser=_number, metavar="N", help="Parameters, such as 70B; else 1 for 20 tokens.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Parameters, layout, step time, days, memory and cost, each with its formula."""
    from rookery.cli.show import show_json, show_table
    from rookery.core.config import to_plain
    from rookery.fleet.plan import PlanRequest, plan

    made = plan(PlanRequest(gpus=gpus, gpu=gpu, tokens=tokens, parameters=parameters))
    if as_json:
        show_json(to_plain(made))
        return
    show_table(["what", "value", "unit", "formula"], [[q.name, q.value, q.unit, q.formula] for q in made.quantities])
    print("\nWhat this first model does not know:")
    for weakness in made.weaknesses:
        print(f"  - {weakness}")
