"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], content: bytes | memoryview) -> Path:
    """Write a file so that a reader sees the old content or the new one, and never a part.

    The content goes into a temporary file in the same folder, which then replaces the target in one
    step. A link is followed; an existing file keeps its permissions.

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
        handle, temporary = tempfile.mkstemp(prefix=".unfinished-", dir=os.path.dirname(target))
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, _permissions(target))
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        hint = "make the folder first" if isinstance(error, FileNotFoundError) else "choose another place"
        raise type(error)(error.errno, f"can't write {os.fspath(path)}: {error.strerror}; {hint}") from None
    return Path(path)


def _permissions(path: str) -> int:
    """Return the mode of an existing file, or the mode that a new one gets under the umask."""
    try:
        return os.stat(path).st_mode & 0o7777
    except FileNotFoundError:
        mask = os.umask(0)  # reading the mask means setting it
        os.umask(mask)
        return 0o666 & ~mask
