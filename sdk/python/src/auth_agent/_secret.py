"""A secret that shows itself nowhere by accident."""

from typing import NoReturn


class Secret:
    """Text that is in no `repr`, `str`, traceback or pickle. `reveal` yields it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Call it where the text goes out, and keep the result in no variable."""
        return self._text

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled or copied")
