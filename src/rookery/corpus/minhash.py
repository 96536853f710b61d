"""MinHash signatures of texts, by Daft's expression; the one module that knows Daft.

Daft takes words; here every character is made one, since a post is too short for runs of words. Its
function works on a column without a query engine, so nothing is started and nothing is printed.
"""

import os

import numpy as np
import pyarrow as pa

SHINGLE_CHARACTERS = 5
HASHES = 64


def signatures(texts: pa.Array) -> np.ndarray:
    """uint32 of shape (texts, 64): least hashes over the runs of five characters.

    The share of equal places in two rows estimates the Jaccard similarity of two texts' runs.
    """
    # Daft reports each import and run to its makers unless this is set before it is imported; it
    # offers no other switch.
    os.environ["DAFT_ANALYTICS_ENABLED"] = "0"
    import daft

    spaced = [" ".join(text.replace(" ", "_")) for text in texts.to_pylist()]
    column = daft.Series.from_arrow(pa.array(spaced, pa.large_string()))
    hashes = column.minhash(HASHES, SHINGLE_CHARACTERS, seed=1, hash_function="xxhash3_64").to_arrow()
    return hashes.flatten().to_numpy().reshape(len(texts), HASHES)
