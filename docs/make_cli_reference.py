"""Writes docs/cli.md from the commands' own help: `python docs/make_cli_reference.py`.

With `--check` nothing is written; the exit status is 1 if the page is not what the commands say now.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from comfyvn_store.cli.clicked import main
from comfyvn_store.cli.main import COMMANDS

PAGE = Path(__file__).with_name("cli.md")

INTRODUCTION = """\
# The commands

This page is made from the commands' own help (`python docs/make_cli_reference.py`). `git comfyvn` is another name for
`comfyvn-store`, so `git comfyvn status` works too. `-h` or `--help` after any command prints what stands here.
"""

ENDING = """\
## Answers, errors, exit codes

Text is for people; `--json` is for programs, and what it prints stays compatible. An asset may be named by its path (as
git does, from the folder you are in), by its uid, or by the first four or more digits of its hash; `REV:PATH` is the
asset as it was in a revision.

An error is one line `error: …` on standard error and, where something can be done about it, one line `hint: …`. With
`--json` standard output has `{"error": …, "message": …, "hint": …}` as well. `COMFYVN_TRACE=1` adds how long it took and
where an error happened.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | done, and something was found: each finding is named; or the answer is "no" |
| 2 | the command line makes no sense, or names an asset, revision or file that is not there or not the only one |
| 10 | no repository here, or `comfyvn-store init` was not run in it |
| 12 | the store does not hold the bytes |
| 13 | an object is damaged |
| 15 | a remote that holds what is needed cannot be reached |
| 16 | the machine refused: no space, no permission, a lock that was not released |
| 17 | the store was made by a newer version |
| 20 | refused, because it would lose or endanger something |
| 70 | a bug |
"""


def page() -> str:
    """Gives the whole page."""
    context = click.Context(main, info_name="comfyvn-store")
    parts = [INTRODUCTION, "| command | does |\n|---|---|"]
    commands = [(name, main.get_command(context, name)) for name in COMMANDS]
    for name, command in commands:
        assert command is not None
        parts[-1] += f"\n| [`{name}`](#{name}) | {command.get_short_help_str(limit=200)} |"
    parts[-1] += "\n"
    for name, command in commands:
        assert command is not None
        parts.append(section(name, command))
    parts.append(ENDING)
    return "\n".join(parts)


def section(name: str, command: click.Command, level: str = "##") -> str:
    """Gives one command's section, with those of its subcommands."""
    lines = [f"{level} {name}", "", "```", f"comfyvn-store {name} {' '.join(usage(command))}".rstrip(), "```", ""]
    lines += [*paragraphs(command.help or ""), ""]
    options = [param for param in command.params if isinstance(param, click.Option)]
    if options:
        lines += ["| option | |", "|---|---|"]
        for option in options:
            value = "" if option.is_flag else f" {option.metavar or option.type.name.upper()}"
            shown = ", ".join(f"`{word}{value}`" for word in (*option.opts, *option.secondary_opts))
            lines.append(f"| {shown} | {(option.help or '').replace('|', chr(92) + '|')} |")
        lines.append("")
    for word, below in sorted(getattr(command, "commands", {}).items()):
        lines.append(section(f"{name} {word}", below, level + "#"))
    return "\n".join(lines)


def usage(command: click.Command) -> Iterator[str]:
    """Gives the words of the usage line after the command's name."""
    for param in command.params:
        if isinstance(param, click.Argument):
            if isinstance(param.type, click.Choice):
                yield "|".join(str(choice) for choice in param.type.choices)
            else:
                yield param.metavar or (param.name or "").upper()
        elif param.required:
            yield f"{param.opts[0]} {param.metavar}"
    if any(isinstance(param, click.Option) and not param.required for param in command.params):
        yield "[OPTIONS]"


def paragraphs(text: str) -> Iterator[str]:
    """Gives a help text as Markdown: blocks that click leaves alone (marked with a backspace) become code."""
    blocks = inspect.cleandoc(text).split("\n\n")
    for number, block in enumerate(blocks):
        if number:
            yield ""
        if block.startswith("\b"):
            yield "```"
            yield inspect.cleandoc("\n" + block.partition("\n")[2])
            yield "```"
        else:
            yield " ".join(block.split())


def run(arguments: list[str]) -> int:
    """Writes or checks the page; gives the exit status."""
    text = page()
    if arguments == ["--check"]:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
            return 0
        print("docs/cli.md is stale: run python docs/make_cli_reference.py", file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
