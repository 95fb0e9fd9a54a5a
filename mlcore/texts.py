"""One look at a short text: its hash, its size and what is odd about it."""

import unicodedata

from mlcore.files import (
    MIME,
    Fact,
    Measured,
    Oddity,
    UnusableFile,
    hash_samples,
)

#: Characters that a preview shows.
PREVIEW_CHARACTERS = 280

#: Characters a text item may have: about ten pages; longer ones are documents, not questions.
MOST_CHARACTERS = 20_000

#: Texts with fewer letters and digits than this are called tiny.
TINY_CHARACTERS = 2

#: What UTF-8 looks like after being read as Latin-1 or Windows-1252 ("Ã©", "â€™").
_MOJIBAKE = ("Ã©", "Ã¨", "Ã¼", "Ã¤", "Ã¶", "â€", "Ã ", "Â ")


def measure_text(text: str) -> Measured:
    """Measure one text.

    Parameters
    ----------
    text : str

    Returns
    -------
    Measured
        `pixel_hash` is over its words only (NFKC, case folded, white space collapsed), equal for
        texts that read the same. Facts:
        characters, words, lines, letter_share, digit_share, upper_share (of letters).
        Oddities: broken_encoding, control_characters, tiny.

    Raises
    ------
    UnusableFile
        zero_bytes, too_large.

    Examples
    --------
    >>> measure_text("Where is my card?").facts["words"]
    4
    >>> one, other = measure_text("My  card"), measure_text("my card")
    >>> one.pixel_hash == other.pixel_hash
    True
    """
    normal = unicodedata.normalize("NFC", text)
    if not normal.strip():
        raise UnusableFile("zero_bytes", "The text is empty.")
    if len(normal) > MOST_CHARACTERS:
        reason = f"The text has {len(normal):,} characters; at most {MOST_CHARACTERS:,} are read."
        raise UnusableFile("too_large", reason)
    content = normal.encode("utf-8", "replace")  # lone surrogates have no UTF-8
    words = " ".join(unicodedata.normalize("NFKC", normal).casefold().split())
    return Measured(
        size=len(content),
        type="text",
        mime=MIME["text"],
        facts=_facts(normal),
        oddities=_oddities(normal),
        pixel_hash=hash_samples("text", words.encode("utf-8", "replace")),
        phash=None,
        flat=False,
        preview=normal[:PREVIEW_CHARACTERS].encode("utf-8", "replace"),
        preview_mime=MIME["text"],
    )


def _facts(text: str) -> dict[str, Fact]:
    letters = sum(map(str.isalpha, text))
    return {
        "characters": len(text),
        "words": len(text.split()),
        "lines": len(text.splitlines()),
        "letter_share": round(letters / len(text), 4),
        "digit_share": round(sum(map(str.isdigit, text)) / len(text), 4),
        "upper_share": round(sum(map(str.isupper, text)) / max(1, letters), 4),
    }


def _oddities(text: str) -> tuple[Oddity, ...]:
    found = []
    if "\ufffd" in text or any(sign in text for sign in _MOJIBAKE):
        found.append(Oddity("broken_encoding", "Letters were lost by reading a wrong encoding."))
    if any(unicodedata.category(sign) in {"Cc", "Cs"} and sign not in "\t\r\n" for sign in text):
        found.append(Oddity("control_characters", "It contains invisible control characters."))
    if sum(map(str.isalnum, text)) < TINY_CHARACTERS:
        found.append(Oddity("tiny", f"Fewer than {TINY_CHARACTERS} letters or digits."))
    return tuple(found)
