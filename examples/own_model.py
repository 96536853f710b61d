"""A language model of one's own posts: corpus, training, evaluation, and what it writes.

python examples/own_model.py posts.csv 0.01
"""

import sys
from pathlib import Path

import rookery
from rookery.core.protocols import GenerationOptions


def main(archive: str, scale: str = "0.01", folder: str = "model-home") -> None:
    """Train a model of `scale` petaFLOP on an archive, and print how good it is."""
    home = rookery.create_home(folder)
    rookery.ingest(home, [Path(archive)], visibility="public")

    corpus = rookery.build_corpus(home)
    print("dropped:", corpus.manifest.tally["dropped"])

    # The one dial: width, depth, batch and length follow from the compute. Killed and started
    # again, the run continues.
    checkpoint = rookery.train(home, scale=float(scale))
    print(f"{checkpoint.manifest.metrics['parameters']:,} parameters")

    # Bits per byte on posts later than all that were trained on; lower is better.
    result = rookery.evaluate(home)
    for name, bits in result["bits_per_byte"].items():
        print(f"  {name:6} {bits:.3f} bits per byte")

    generator = rookery.load_generator(checkpoint)
    options = GenerationOptions(max_tokens=24, seed=1)
    print("".join(chunk.text for chunk in generator.generate("", options)))


if __name__ == "__main__":
    main(*sys.argv[1:])
