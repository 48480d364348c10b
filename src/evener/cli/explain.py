"""`evener explain`: a key of the configuration, in words from the schema."""

import click

from evener.cli.words import USAGE, fail


@click.command()
@click.argument("key", required=False)
def explain(key: str | None) -> None:
    """Say what KEY of the configuration means: type, default, reason. Without KEY list all.

    \b
    Examples:
      evener explain pools.app.passive
      evener explain retry.attempts
    """
    from evener.config.explain import UnknownKeyError, entries
    from evener.config.explain import explain as words

    if key is None:
        for entry in entries():
            click.echo(entry.path)
        return
    try:
        click.echo(words(key))
    except UnknownKeyError as error:
        fail(str(error), code=USAGE)
