"""Scripts as sets of characters: those without spaces between words, and those of one language.

Each set is written to stand in brackets in a regular expression. Not here: how a text is split into
words, and how its language is guessed.
"""

# Thai, Lao, Myanmar, Khmer, kana and Han
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f"
)
"""The characters of scripts that write no spaces between words."""

HAN, KANA = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff", "\u3040-\u30ff\uff66-\uff9f"
OF_ONE_LANGUAGE = {
    "el": "\u0370-\u03ff\u1f00-\u1fff",
    "gu": "\u0a80-\u0aff",
    "he": "\u0590-\u05ff",
    "hy": "\u0530-\u058f",
    "ja": KANA,
    "ka": "\u10a0-\u10ff",
    "km": "\u1780-\u17ff",
    "kn": "\u0c80-\u0cff",
    "ko": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",
    "lo": "\u0e80-\u0eff",
    "ml": "\u0d00-\u0d7f",
    "my": "\u1000-\u109f",
    "or": "\u0b00-\u0b7f",
    "pa": "\u0a00-\u0a7f",
    "si": "\u0d80-\u0dff",
    "ta": "\u0b80-\u0bff",
    "te": "\u0c00-\u0c7f",
    "th": "\u0e00-\u0e7f",
    "zh": HAN,
}
"""The characters of scripts in which nearly all posts are of one language, by its code.

Han is Chinese unless kana stands beside it. Cyrillic, Arabic, Devanagari, Bengali and Ethiopic are
not here, since several large languages write in each. Hebrew is, though Yiddish writes in it too.
"""
