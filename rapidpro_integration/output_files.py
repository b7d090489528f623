"""Where a command writes: into a file that is there whole or not at all, or to the output."""

import errno
import os
import secrets
from collections.abc import Iterable
from pathlib import Path


class OutputRefused(Exception):  # exceptions end in the fact
    """The file is there already, or cannot be written; the text says which file and why."""


def check_free(path: Path, *, force: bool) -> None:
    """Raise OutputRefused if a file of that name would be overwritten, or its folder is not there."""
    if not path.parent.is_dir():
        raise OutputRefused(f"{path.parent} is no folder.")
    if path.is_dir():
        raise OutputRefused(f"{path} is a folder.")
    if path.exists() and not force:
        raise OutputRefused(f"{path} is there already; --force overwrites it.")


def write(path: Path, parts: Iterable[str | bytes], *, force: bool) -> None:
    """Write the parts, as UTF-8, into a new file, or in the place of the old one with `force`.

    A reader of the old file never meets half of the new one. What is no file (a pipe, a device) is written to as it
    is. Raises OutputRefused.
    """
    check_free(path, force=force)
    encoded = (part.encode() if isinstance(part, str) else part for part in parts)
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as device:
                device.writelines(encoded)
            return
        path = path.resolve()
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            with temporary.open("xb") as file:
                file.writelines(encoded)
            place(temporary, path, force=force)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputRefused(f"{path}: {error.strerror}.") from None


def place(whole: Path, path: Path, *, force: bool) -> None:
    """Give a whole file, written on the same file system, the name that it is wanted under. Raises OutputRefused.

    The old name may stay; whoever made it takes it away.
    """
    try:
        _put(whole, path, force=force)
    except FileExistsError:
        raise OutputRefused(f"{path} has appeared meanwhile; --force overwrites it.") from None
    except OSError as error:
        raise OutputRefused(f"{path}: {error.strerror}.") from None


def _put(temporary: Path, path: Path, *, force: bool) -> None:
    if force:
        temporary.replace(path)
        return
    try:
        # A second name, and no replacing: it fails if somebody else's file has come meanwhile.
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise
        # A file system without second names.
        with path.open("xb") as file:
            file.write(temporary.read_bytes())
