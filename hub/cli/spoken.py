"""Help in the reader's language: the texts stand in the code in English, as everywhere."""

from __future__ import annotations

import click

from hub.cli.output import say


class SpokenGroup(click.Group):
    """Translates a command's help when it is looked up, and that of the commands below it."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = super().get_command(ctx, cmd_name)
        return speak(found) if found else None

    def get_help(self, ctx: click.Context) -> str:
        speak(self)
        return super().get_help(ctx)


def speak(command: click.Command) -> click.Command:
    """Put the command's own help and its options' into the language of the command line; once is enough."""
    if command.help:
        command.help = say(" ".join(command.help.split()))
    for option in command.params:
        if isinstance(option, click.Option) and option.help:
            option.help = say(option.help)
    if isinstance(command, click.Group):
        for below in command.commands.values():
            speak(below)
    return command
