"""GGUF against the model itself: the same ids, the same greedy tokens, in llama.cpp.

    python benchmarks/bench_gguf.py HOME TWEETS

HOME: a home with a checkpoint of its own. TWEETS: a Parquet file with the columns `content` and
`language`, for posts in five scripts. llama.cpp runs in this process (`xllamacpp`) and is asked
through its own server. Where `openvino_genai` is installed, it loads the file and writes too.
"""

import argparse
import json
import tempfile
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pyarrow.parquet as pq
import regex
from record import table, write_result

from rookery.core.artifact import Artifact
from rookery.core.home import open_home
from rookery.core.protocols import GenerationOptions
from rookery.model.generate import NetworkGenerator, load_generator
from rookery.model.gguf import PRECISIONS, write_gguf
from rookery.model.tokenizer import Tokenizer

POSTS, PROMPTS, NEW_TOKENS = 5_000, 100, 32
SCRIPTS = {
    "Latin": r"\p{Latin}",
    "Cyrillic": r"\p{Cyrillic}",
    "Arabic": r"\p{Arabic}",
    "Han, kana": r"[\p{Han}\p{Hiragana}\p{Katakana}]",
    "Devanagari, Thai, Hebrew, Hangul, Greek": r"[\p{Devanagari}\p{Thai}\p{Hebrew}\p{Hangul}\p{Greek}]",
}


def posts_by_script(path: Path) -> dict[str, list[str]]:
    """Return posts of each script, `POSTS` in all; where one has too few, Latin has more."""
    texts = [text for text in pq.read_table(path)["content"].to_pylist() if text]
    found: dict[str, list[str]] = {}
    for name, pattern in reversed(SCRIPTS.items()):
        holds = regex.compile(f"{pattern}.*{pattern}", regex.DOTALL)
        room = POSTS - sum(map(len, found.values())) if name == "Latin" else POSTS // len(SCRIPTS)
        found[name] = list(_first(texts, holds, room))
    return dict(reversed(found.items()))


def _first(texts: list[str], holds: regex.Pattern, count: int) -> Iterator[str]:
    for text in texts:
        if count and holds.search(text):
            count -= 1
            yield text


class LlamaServer:
    """llama.cpp with one model, asked through its own server."""

    def __init__(self, path: Path):
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx, parameters.n_parallel, parameters.warmup = 0, 1, False
        self._server = xllamacpp.Server(parameters)

    def ask(self, path: str, body: dict) -> dict:
        """Return the answer of its server."""
        request = urllib.request.Request(
            self._server.listening_address + path,
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def ids(self, text: str) -> list[int]:
        """Return the ids of a text, with what a prompt begins with."""
        return self.ask("/tokenize", {"content": text, "add_special": True})["tokens"]

    def continuation(self, prompt: str) -> list[int]:
        """Return the greedy tokens after a prompt."""
        options = {"n_predict": NEW_TOKENS, "temperature": 0, "return_tokens": True}
        options |= {"repeat_penalty": 1.0, "top_k": 1, "cache_prompt": False}
        return self.ask("/completion", {"prompt": prompt, **options})["tokens"]


def equal_ids(server: LlamaServer, tokenizer: Tokenizer, texts: list[str]) -> int:
    """Return how many texts have the same ids in llama.cpp."""
    ours = tokenizer.encode(texts)
    return sum(
        server.ids(text) == [*tokenizer.opening, *tokens]
        for text, tokens in zip(texts, ours, strict=True)
    )


def equal_texts(server: LlamaServer, generator: NetworkGenerator, prompts: list[str]) -> int:
    """Return after how many prompts llama.cpp writes the same greedy text."""
    options = GenerationOptions(max_tokens=NEW_TOKENS, temperature=0)
    same = 0
    for prompt in prompts:
        ours = "".join(piece.text for piece in generator.generate(prompt, options))
        tokens = server.continuation(prompt)
        theirs = generator.tokenizer.decode(tokens)
        same += theirs.rstrip("\ufffd") == ours.rstrip("\ufffd")
    return same


def openvino(path: Path, prompt: str) -> str:
    """Return what OpenVINO GenAI writes after a prompt, or why it was not asked."""
    if find_spec("openvino_genai") is None:
        return "not installed"
    import openvino_genai

    pipeline = openvino_genai.LLMPipeline(str(path), "CPU")
    return str(pipeline.generate(prompt, max_new_tokens=NEW_TOKENS, do_sample=False))


def measured(checkpoint: Artifact, tweets: Path, folder: Path) -> str:
    """Return the tables of a checkpoint."""
    generator = load_generator(checkpoint)
    scripts = posts_by_script(tweets)
    prompts = [" ".join(text.split()[:4]) for text in scripts["Latin"][:PROMPTS]]
    rows, ids = [], []
    for precision in PRECISIONS:
        path = folder / f"{precision}.gguf"
        write_gguf(checkpoint, path, precision)
        server = LlamaServer(path)
        if precision == "f32":
            for name, texts in scripts.items():
                ids.append([name, len(texts), equal_ids(server, generator.tokenizer, texts)])
        same = equal_texts(server, generator, prompts)
        written = openvino(path, prompts[0])
        rows.append([precision, path.stat().st_size, f"{same} of {len(prompts)}", written[:60]])
    total = [sum(row[n] for row in ids) for n in (1, 2)]
    return "\n".join(
        [
            "Posts whose ids are the same in llama.cpp:",
            "",
            table(["script", "posts", "equal"], [*ids, ["all", *total]]),
            f"Greedy texts of {NEW_TOKENS} tokens after the first words of a post, float32 here:",
            "",
            table(["precision", "bytes", "equal in llama.cpp", "OpenVINO GenAI writes"], rows),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("tweets", type=Path)
    arguments = parser.parse_args()
    checkpoint = open_home(arguments.home).need("checkpoint", "rookery model train")
    with tempfile.TemporaryDirectory() as folder:
        body = measured(checkpoint, arguments.tweets, Path(folder))
    packages = ["gguf", "xllamacpp", "torch", "tiktoken"]
    packages += ["openvino-genai"] if find_spec("openvino_genai") else []
    print(write_result("gguf", "GGUF against the model itself", packages, body).read_text())


if __name__ == "__main__":
    main()
