"""Export of a tokenizer: a file that begins a plain prompt as training did.

Who reads an exported model knows its `tokenizer.json` alone, so what a prompt begins with is
written into it. Not here: the roles that its readers find elsewhere (`../export.py`).
"""

import json

from rookery.model.tokenizer import Tokenizer
from rookery.model.tokens.roles import opening_of


def beginning_file(tokenizer: Tokenizer) -> str:
    """Return a tokenizer's file with a post-processor that begins a text with its opening.

    One that says so already, or that has nothing to say, is returned as it is.
    """
    file = json.loads(tokenizer.file_text)
    if opening_of(file) == tokenizer.opening:
        return tokenizer.file_text
    names = {token: name for name, token in tokenizer.special.items()}
    before = [{"SpecialToken": {"id": names[t], "type_id": 0}} for t in tokenizer.opening]
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    file["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [*before, first],
        "pair": [*before, first, *before, second],
        "special_tokens": {
            names[t]: {"id": names[t], "ids": [t], "tokens": [names[t]]} for t in tokenizer.opening
        },
    }
    return json.dumps(file, ensure_ascii=False, indent=1)
