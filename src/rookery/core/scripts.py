"""The scripts that write no spaces between words, for code that splits texts into words."""

# Thai, Lao, Myanmar, Khmer, kana and Han
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f"
)
"""The characters of scripts that write no spaces between words, to stand in brackets in a regular
expression.
"""
