"""A folder for what is not whole yet, beside the file that it becomes: gone when the work ends, however it ends."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BEGIN, _END = ".console-backup-", ".part"


@contextmanager
def unfinished(beside: Path) -> Iterator[Path]:
    """Give a new folder that only this user may enter; take it away at the end. Raises OSError.

    A process that was killed cannot do that: the next one does, once nobody holds the lock of the folder.
    """
    _sweep(beside)
    folder = beside / f"{_BEGIN}{secrets.token_hex(4)}{_END}"
    folder.mkdir(mode=0o700)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder)
        os.close(descriptor)


def _sweep(beside: Path) -> None:
    for folder in beside.glob(f"{_BEGIN}*{_END}"):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder)
        finally:
            os.close(descriptor)


def sync(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
