"""`python -m evener.cli` is the `evener` command."""

from evener.cli import main

main()
