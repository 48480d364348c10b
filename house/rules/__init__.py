"""The repository's rules about itself, each a small program that can fail.

Each module but the named ones has `offences(root) -> list[str]`: one line per offence, `file:line:
what`, and nothing when all is well. `python3 -m house.rules` runs them; `tests/meta` shows each one
an offence. `sources` finds files, `rust_text` reads Rust.
"""
