"""Text of other parties, made fit to be shown."""

import unicodedata

_JOINERS = "\u200c\u200d"  # invisible, and part of words


def is_printable(text: str) -> bool:
    """Whether no character of it controls, hides or reorders others."""
    return all(character in _JOINERS or _is_shown(character) for character in text)


def one_line(text: object, most: int = 300) -> str:
    """Puts a space for each character that is not shown, and cuts the text at `most` characters."""
    shown = (c if c in _JOINERS or _is_shown(c) else " " for c in str(text)[:most])
    return "".join(shown)


def _is_shown(character: str) -> bool:
    category = unicodedata.category(character)
    return not category.startswith("C") and category not in ("Zl", "Zp")
