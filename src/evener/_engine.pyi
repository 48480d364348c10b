"""The extension module: the Rust side of Evener."""

__all__ = ["YamlError", "__version__", "yaml_events"]

__version__: str

class YamlError(ValueError):
    """A text that is no YAML: args are (line, column, message, hint or None)."""

    args: tuple[int, int, str, str | None]

def yaml_events(text: str) -> list[tuple[int, int, int, int, str]]:
    """The events of a YAML text: (kind, line, column, anchor, text).

    Kinds: 0 mapping, 1 sequence, 2 end, 3 plain scalar, 4 quoted scalar, 5 alias.
    """
