"""The root of all errors of Evener, for whoever wants to catch one thing.

Kept apart from `config`, since every command passes here and must stay light.
"""


class EvenerError(Exception):
    """The root of all errors that Evener raises on purpose.

    Attributes:
        remedy: What a person can do about it; empty when there is nothing to say.
    """

    remedy: str = ""
