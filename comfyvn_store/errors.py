"""Every error of comfyvn-store: its slug, its exit code and, where something can be done, a hint.

Owns the mapping from what went wrong to what a program sees (exit code, slug). Must not print and must not import
anything of this package.
"""

from __future__ import annotations


class ComfyvnError(Exception):
    """Base of every error that a user may meet; `message` is one line in git's voice, `hint` says what to do."""

    slug = "error"
    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ComfyvnError):
    """What was asked does not make sense: a wrong option, an unknown or unsuitable file."""

    slug = "usage"
    exit_code = 2


class UnknownAsset(UsageError):
    """No asset goes by that path, uid or hash prefix."""

    slug = "unknown-asset"


class AmbiguousAsset(UsageError):
    """Several assets answer to what was given."""

    slug = "ambiguous-asset"


class UnknownRevision(UsageError):
    """git does not know that revision or range."""

    slug = "unknown-revision"


class UnknownFile(UsageError):
    """A file that was named is not there or is not an ordinary file."""

    slug = "unknown-file"


class NotInitialised(ComfyvnError):
    """No repository here, or one in which `init` was not run."""

    slug = "not-initialised"
    exit_code = 10


class ObjectMissing(ComfyvnError):
    """The store does not hold the object."""

    slug = "object-missing"
    exit_code = 12


class ObjectCorrupt(ComfyvnError):
    """An object's bytes do not give its hash."""

    slug = "object-corrupt"
    exit_code = 13


class RemoteUnreachable(ComfyvnError):
    """A remote that holds what is needed cannot be reached, or does not give it.

    `is_passing`: trying again may help, and not before `retry_after` seconds where that is given.
    """

    slug = "remote-unreachable"
    exit_code = 15

    def __init__(
        self, message: str, *, hint: str | None = None, is_passing: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.is_passing = is_passing
        self.retry_after = retry_after


class RemoteDenied(RemoteUnreachable):
    """A remote wants credentials that are missing, expired, or do not allow what was asked."""

    slug = "remote-denied"


class ToolMissing(ComfyvnError):
    """A library of an optional extra is not installed."""

    slug = "extra-missing"
    exit_code = 2


class MachineError(ComfyvnError):
    """The machine refused: no space, no permission, a lock that was not released in time."""

    slug = "machine"
    exit_code = 16


class LockTimeout(MachineError):
    """Another process held a lock for too long."""

    slug = "lock-timeout"


class StoreUnreachable(MachineError):
    """The store that this repository shares with others is not where it was: a disk that is not mounted."""

    slug = "store-unreachable"


class NewerStore(ComfyvnError):
    """The store was made by a newer version of this program."""

    slug = "newer-store"
    exit_code = 17


class Refused(ComfyvnError):
    """Understood, possible, but not done because it would lose or endanger something."""

    slug = "refused"
    exit_code = 20


class GitFailed(ComfyvnError):
    """The git program reported a failure that we did not expect; carries what it said."""

    slug = "git-failed"
    exit_code = 1

    def __init__(self, command: str, status: int, stderr: str) -> None:
        said = stderr.strip().splitlines()
        last = said[-1] if said else f"exit status {status}"
        super().__init__(f"{command}: {last}")
        self.status = status
        self.stderr = stderr


def from_os_error(error: OSError, doing: str) -> MachineError:
    """Gives the MachineError that says, in one line, what the operating system refused while `doing`."""
    import errno

    name = error.filename if isinstance(error.filename, str) else None
    where = f" '{name}'" if name else ""
    hints = {
        errno.ENOSPC: "free some space and run the command again; nothing was changed",
        errno.EDQUOT: "your disk quota is used up; free some space and run the command again",
        errno.EACCES: "check who owns the file and its permissions",
        errno.EPERM: "check who owns the file and its permissions",
        errno.EROFS: "the file system is mounted read-only",
    }
    reason = error.strerror.lower() if error.strerror else str(error)
    return MachineError(f"cannot {doing}{where}: {reason}", hint=hints.get(error.errno or 0))
