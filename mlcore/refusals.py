"""What cannot be done with the given items, as opposed to what is wrong in the code."""


class Impossible(ValueError):  # noqa: N818  (no error: the items leave no way)
    """Nothing can be learned, divided or judged here; the words are for people."""
