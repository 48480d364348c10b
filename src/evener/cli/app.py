"""The command's tree: names, the file each lives in, and one line of help.

A command's module is imported when it runs; `--help` needs only this table.
"""

import importlib
from typing import Any

import click

#: Name → module, attribute, one line of help. The order is that of a first day.
COMMANDS = {
    "quick": ("evener.cli.start", "quick", "Balance at once, without a file."),
    "run": ("evener.cli.start", "run", "Run an instance from a file."),
    "check": ("evener.cli.start", "check", "Say what is wrong with a file."),
    "explain": ("evener.cli.explain", "explain", "Say what a key means."),
    "show": ("evener.cli.show", "show", "Show what an instance does."),
    "why": ("evener.cli.show", "why", "Say why a server is as it is."),
    "server": ("evener.cli.steer", "server", "Take a server out, or back in."),
    "reload": ("evener.cli.steer", "reload", "Have the file read again."),
    "stop": ("evener.cli.steer", "stop", "Drain and end an instance."),
    "lab": ("evener.cli.lab", "lab", "Try schedulers under simulated load."),
}


class Tree(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Names the nearest command when there is none of this name."""
        if args and args[0] not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> Any:
    if value:
        from evener import __version__

        click.echo(f"evener {__version__}")
        ctx.exit()


@click.group(
    cls=Tree,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96},
    epilog="`evener COMMAND --help` has examples.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Say it."
)
def app() -> None:
    """Evener, a load balancer.

    \b
    Balance two servers at once:   evener quick :8080 10.0.0.1:8000 10.0.0.2:8000
    The same from a file:          evener run evener.yaml
    See how it goes:               evener show status
    """
