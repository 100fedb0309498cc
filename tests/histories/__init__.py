"""A state machine that uses git as people do, in any order, and what must hold after each step."""

from tests.histories.commits import Commits
from tests.histories.files import Files
from tests.histories.housekeeping import Housekeeping


class Histories(Files, Commits, Housekeeping):
    """git commands in any order, over real git and real files."""
