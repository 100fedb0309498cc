"""The commands as click has them: what helps, completes, and says what is wrong with a command line."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from comfyvn_store import __version__
from comfyvn_store.base import names
from comfyvn_store.cli import declaring
from comfyvn_store.cli.main import COMMANDS, PROGRAM, VERSION
from comfyvn_store.errors import UsageError


class Commands(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Gives the names in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Gives a command by name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"comfyvn_store.cli.{COMMANDS[cmd_name]}")
        found = getattr(module, f"{cmd_name}_command")
        return as_click(found) if isinstance(found, declaring.Command) else found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command, or says which one was perhaps meant."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            import difflib

            close = difflib.get_close_matches(name, COMMANDS, 1)
            hint = f"did you mean `{close[0]}`? " if close else ""
            raise click.UsageError(
                f"there is no command '{names.printable(name)}'\n{hint}`comfyvn-store --help` lists them"
            )
        return super().resolve_command(ctx, args)


class _Dashed(click.Command):
    """A command whose arguments may begin with a dash."""

    declared: declaring.Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self.declared.arranged(args))


def as_click(declared: declaring.Command) -> click.Command:
    """Gives a command as click has it."""
    made = (_Dashed if declared.takes_dashes else click.Command)(
        declared.name,
        callback=declared.function,
        params=[_parameter(each) for each in declared.parameters],
        help=declared.function.__doc__,
        short_help=declared.short_help,
    )
    if isinstance(made, _Dashed):
        made.declared = declared
    return made


def _parameter(each: declaring.Parameter) -> click.Parameter:
    if isinstance(each, declaring.Argument):
        return click.Argument(
            [each.name],
            type=_type(each.type),
            metavar=each.metavar,
            nargs=-1 if each.many else 1,
            required=each.required,
            **({} if each.default is None else {"default": each.default}),
        )
    more: dict[str, Any] = {}
    words = [f"{each.words[0]}/{each.opposite}"] if each.opposite else each.words
    if each.flag_value is not None:
        more["flag_value"] = each.flag_value
    elif each.is_flag:
        more["is_flag"] = True
    else:
        more["type"] = _type(each.type)
    if each.default is not None or each.opposite:
        more |= {"default": each.default, "show_default": each.show_default}
    return click.Option(
        [*words, each.name],
        metavar=each.metavar,
        help=each.help,
        multiple=each.multiple,
        required=each.required,
        **more,
    )


def _type(type_: declaring.Text) -> click.ParamType[Any]:
    match type_:
        case declaring.Path():
            return click.Path()
        case declaring.Range():
            return click.IntRange(type_.least, type_.most)
        case declaring.Choice():
            return click.Choice(type_.words)
    return click.STRING


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message=VERSION)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Keep a project's art in git, and know where every picture came from.

    You work as always: git add, git commit, git switch. The pictures and sounds go into a store inside .git; git itself
    keeps small links. Beside each file lies a sidecar (NAME.asset.json) that says what it is, how it was made and which
    commit brought it.

    \b
    Start here:
      comfyvn-store init              in a git repository, once
      comfyvn-store demo              a small sample project to look at
      comfyvn-store provenance FILE   where a picture came from
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run(words: Sequence[str]) -> Any:
    """Does what a command line asks for; gives what the command gave, or the exit code. Raises UsageError,
    KeyboardInterrupt, and whatever the command raises."""
    try:
        return main.main(args=list(words), prog_name=PROGRAM, standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        message, _, hint = error.format_message().partition("\n")
        command = getattr(getattr(error, "ctx", None), "command_path", None)
        shows = f"`{command} --help` shows how" if command else None
        raise UsageError(_lowered(message.removesuffix(". Choose from:")), hint=_choices(hint) or shows) from error


def _choices(listing: str) -> str:
    """Gives in one line what click lists below an error that ends with "Choose from:"."""
    return "choose from " + " ".join(listing.split()) if listing.startswith("\t") else listing


def _lowered(message: str) -> str:
    """Gives a message of click's in git's voice."""
    return message[:1].lower() + message[1:].rstrip(".")
