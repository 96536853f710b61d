"""`rookery model adopt` and `export`: models as files, from and for other programs.

What is read and written is in the package `model` (`adopt.py`, `export.py`).
"""

from pathlib import Path
from typing import Annotated

import typer

from rookery.cli.model import app
from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, ModelOption, opened


@app.command()
def adopt(
    folder: Annotated[
        Path, typer.Argument(help="A folder with a Qwen3 or Llama model, as transformers saves it.")
    ],
    context_tokens: Annotated[
        int,
        typer.Option(
            "--context",
            help="How many tokens it shall see at once; never more than it was made for.",
            min=1,
        ),
    ] = 1024,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Make a checkpoint of an open model that lies on this disk; nothing is downloaded.

    It can then be tuned, evaluated, exported, searched with and served like one trained here.
    """
    from rookery.cli.show import context, show_facts, show_json
    from rookery.model.adopt import AdoptConfig, adopt

    made = adopt(opened(home), folder, context(), AdoptConfig(context_tokens))
    facts = {"key": made.key, **made.manifest.metrics}
    if as_json:
        show_json(facts)
        return
    adopted = facts.pop("adopted")
    show_facts(facts | {k: adopted[k] for k in ("name", "licence", "architecture")}, "Checkpoint")


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="The folder to write; it must not exist yet.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="hf: for transformers, vLLM and SGLang; gguf: for llama.cpp and OpenVINO GenAI; "
            "embedder: for sentence-transformers.",
        ),
    ] = "hf",
    dtype: Annotated[
        str,
        typer.Option(
            help="The precision of the weights: f32, f16, bf16 (hf only), q8_0 (gguf only)."
        ),
    ] = "f32",
    model: ModelOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Write a model as files for other programs, with a model card."""
    from rookery.model.export import export
    from rookery.workflows.models import need_checkpoint

    opened_home = opened(home)
    made = need_checkpoint(opened_home, model)
    if form == "embedder" and model is None:  # as search does
        made = opened_home.newest("embedder") or made
    export(made, folder, form, dtype)
    print(f"Exported to {folder}")
