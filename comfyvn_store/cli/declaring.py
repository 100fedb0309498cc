"""How commands are declared: once, and without click, which takes longer to import than most answers take to find.

`Command.read` understands a command line that is plainly right. Whatever else it may be (help, completion, a mistake) is
click's, which gets the same declarations from `clicked`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

# A number as everybody writes it; `int` also takes others, which are click's.
_MOST_DIGITS = 18


class Unclear(Exception):
    """A command line, or a word in it, that is not plainly right; click says what it is."""


class Text:
    """Any word."""

    def read(self, word: str) -> Any:
        """Gives the value that a word means. Raises Unclear."""
        return word


class Path(Text):
    """A path, of something that can be read or is not there."""

    def read(self, word: str) -> Any:
        if not os.access(word, os.R_OK) and os.path.exists(word):
            raise Unclear
        return word


class Range(Text):
    """A whole number within bounds."""

    def __init__(self, least: int, most: int | None = None) -> None:
        self.least = least
        self.most = most

    def read(self, word: str) -> Any:
        if not (word.isascii() and word.isdigit() and len(word) <= _MOST_DIGITS):
            raise Unclear
        number = int(word)
        if number < self.least or (self.most is not None and number > self.most):
            raise Unclear
        return number


class Choice(Text):
    """One of several words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def read(self, word: str) -> Any:
        if word not in self.words:
            raise Unclear
        return word


TEXT, PATH = Text(), Path()


class Option:
    """An option: the words for it, the name of what it sets, and how. `opposite` is the word for False."""

    def __init__(
        self,
        words: tuple[str, ...],
        name: str,
        type: Text,
        *,
        opposite: str | None,
        metavar: str | None,
        help: str | None,
        is_flag: bool,
        flag_value: str | None,
        multiple: bool,
        required: bool,
        default: Any,
        show_default: bool,
    ) -> None:
        self.words = words
        self.name = name
        self.type = type
        self.opposite = opposite
        self.metavar = metavar
        self.help = help
        self.is_flag = is_flag
        self.flag_value = flag_value
        self.multiple = multiple
        self.required = required
        self.default = default
        self.show_default = show_default

    @property
    def takes_value(self) -> bool:
        """Whether a word follows it."""
        return not self.is_flag and self.flag_value is None

    @property
    def unset(self) -> Any:
        """What it sets where it is not given."""
        if self.default is not None:
            return self.default
        return () if self.multiple else False if self.is_flag and not self.opposite else None


class Argument:
    """What is given by its place; the last one may be `many` words."""

    def __init__(
        self, name: str, type: Text, metavar: str | None, many: bool, required: bool, default: str | None
    ) -> None:
        self.name = name
        self.type = type
        self.metavar = metavar
        self.many = many
        self.required = required
        self.default = default


Parameter = Option | Argument
Function = Callable[..., Any]


def option(
    *words: str,
    type: Text = TEXT,
    metavar: str | None = None,
    help: str | None = None,
    is_flag: bool = False,
    flag_value: str | None = None,
    multiple: bool = False,
    required: bool = False,
    default: Any = None,
    show_default: bool = False,
) -> Callable[[Function], Function]:
    """Declares an option. Its name is the word without dashes, or else the (first) long one. `--yes/--no` is a flag that is
    None where neither is given."""
    spelled = tuple(word.partition("/")[0] for word in words if word.startswith("-"))
    opposite = next((word.partition("/")[2] for word in words if "/" in word), None)
    named = [word for word in words if not word.startswith("-")] or [word for word in spelled if word[:2] == "--"]
    name = named[0].lstrip("-").replace("-", "_")
    declared = Option(
        spelled,
        name,
        type,
        opposite=opposite,
        metavar=metavar,
        help=help,
        is_flag=is_flag or opposite is not None,
        flag_value=flag_value,
        multiple=multiple,
        required=required,
        default=default,
        show_default=show_default,
    )
    return _adding(declared)


def argument(
    name: str,
    *,
    type: Text = TEXT,
    metavar: str | None = None,
    nargs: int = 1,
    required: bool | None = None,
    default: str | None = None,
) -> Callable[[Function], Function]:
    """Declares an argument: one word, which is required unless said otherwise, or any number (`nargs=-1`)."""
    many = nargs == -1
    needed = not many and default is None if required is None else required
    return _adding(Argument(name, type, metavar, many, needed, default))


def _adding(parameter: Parameter) -> Callable[[Function], Function]:
    def add(function: Function) -> Function:
        # Decorators run from the last to the first.
        function.__dict__.setdefault("parameters", []).insert(0, parameter)
        return function

    return add


def command(name: str, *, short_help: str, takes_dashes: bool = False) -> Callable[[Function], Command]:
    """Declares a command. `takes_dashes`: its arguments may begin with one dash."""

    def declare(function: Function) -> Command:
        return Command(name, function, short_help, function.__dict__.pop("parameters", []), takes_dashes)

    return declare


class Command(NamedTuple):
    """A command: the function that does it, and what that takes."""

    name: str
    function: Function
    short_help: str
    parameters: Sequence[Parameter]
    takes_dashes: bool = False

    @property
    def options(self) -> Iterator[Option]:
        """Its options."""
        return (each for each in self.parameters if isinstance(each, Option))

    def read(self, words: Sequence[str]) -> dict[str, Any]:
        """Gives what the function takes, as these words say it. Raises Unclear."""
        by_word = {word: each for each in self.options for word in (*each.words, each.opposite) if word}
        said: dict[str, Any] = {each.name: each.unset for each in self.options}
        given: set[str] = set()
        places: list[str] = []
        rest = iter(self.arranged(words) if self.takes_dashes else words)
        for word in rest:
            if word == "--":
                places.extend(rest)
            elif word[:1] != "-" or word == "-":
                places.append(word)
            else:
                name = _take(word, rest, by_word, said)
                given.add(name)
        if any(each.required and each.name not in given for each in self.options):
            raise Unclear
        return said | self._placed(places)

    def _placed(self, words: list[str]) -> dict[str, Any]:
        said: dict[str, Any] = {}
        arguments = [each for each in self.parameters if isinstance(each, Argument)]
        for number, each in enumerate(arguments):
            if each.many and number < len(arguments) - 1:
                raise Unclear
            taken, words = (words, []) if each.many else (words[:1], words[1:])
            if each.required and not taken:
                raise Unclear
            values = tuple(map(each.type.read, taken))
            said[each.name] = values if each.many else values[0] if values else each.default
        if words:
            raise Unclear
        return said

    def arranged(self, words: Sequence[str]) -> list[str]:
        """Gives the words with options in front and everything else behind `--`: `-tag:sketch` is no option."""
        with_value = {word for each in self.options if each.takes_value for word in each.words}
        options: list[str] = []
        others: list[str] = []
        rest = iter(words)
        for word in rest:
            if word == "--":
                others.extend(rest)
            elif word.startswith("--") or word == "-h":
                options.append(word)
                if word in with_value:
                    options.extend(item for item in [next(rest, None)] if item is not None)
            else:
                others.append(word)
        return [*options, "--", *others] if others else options


def _take(word: str, rest: Iterator[str], by_word: Mapping[str, Option], said: dict[str, Any]) -> str:
    """Sets what an option says; gives the name of that. Raises Unclear."""
    spelled, equals, value = word.partition("=")
    found = by_word.get(spelled if spelled.startswith("--") else word)
    if found is None:
        raise Unclear
    if not found.takes_value:
        if equals:
            raise Unclear
        said[found.name] = word != found.opposite if found.flag_value is None else found.flag_value
        return found.name
    if not (equals and spelled.startswith("--")):
        following = next(rest, None)
        if following is None:
            raise Unclear
        value = following
    read = found.type.read(value)
    said[found.name] = (*said[found.name], read) if found.multiple else read
    return found.name
