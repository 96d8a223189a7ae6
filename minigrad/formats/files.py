"""Writing files whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], content: bytes | memoryview) -> Path:
    """Write a file so that a reader sees the old content or the new one, and never a part.

    The content goes into a temporary file in the same folder, which then replaces the target in one
    step. A link is followed. An existing file keeps its permissions, and a new one gets those of any new
    file (the umask). What is no regular file, such as /dev/stdout, is written to and never replaced.

    Args:
        path: the file; its folder must exist.
        content: all of its bytes.

    Returns:
        The path.

    Raises:
        OSError: of the kind that the system raised, with the path and a remedy. The old file is unchanged.
    """
    target = os.path.realpath(path)
    try:
        mode = _mode(target)
        if mode is None or stat.S_ISREG(mode):
            _replace(target, content, mode)
        else:
            with open(target, "wb") as file:
                file.write(content)
    except OSError as error:
        hint = "make the folder first" if isinstance(error, FileNotFoundError) else "choose another place"
        raise type(error)(error.errno, f"can't write {os.fspath(path)}: {error.strerror}; {hint}") from None
    return Path(path)


def _replace(target: str, content: bytes | memoryview, mode: int | None) -> None:
    """Write a new file beside the target, with the target's permissions, and rename it to the target."""
    if mode is not None and not os.access(target, os.W_OK):  # a rename needs no permission for the file itself
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    temporary = os.path.join(os.path.dirname(target), f".unfinished-{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _mode(path: str) -> int | None:
    """Return the type and permissions of a file; None if it doesn't exist."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None
