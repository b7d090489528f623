"""The file of a backup: a zip of the database and of `manifest.json`, which says what it is and what it needs."""

import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO

import msgspec

from rapidpro_integration.backups import BackupRefused

DATABASE, MANIFEST = "db.sqlite3", "manifest.json"
_KIND = "rapidpro-console backup"
_FORMAT = 1
_MANIFEST_MAX_BYTES = 1_000_000
_CHUNK = 1 << 20

type Done = Callable[[int], None]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a backup: `sha256` and `bytes` of the database, and the facts of it (backups.facts)."""

    kind: str = _KIND
    format: int = _FORMAT
    version: str
    made_on: datetime
    bytes: int
    sha256: str
    migrations: list[str]
    rows: dict[str, int]
    keys: dict[str, int]


def checksum(file: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def pack(database: Path, manifest: Manifest, archive: Path, done: Done) -> None:
    """Write the zip, and have it on the disk; `done` hears of bytes of the database. Raises OSError."""
    with archive.open("xb") as stream:
        archive.chmod(0o600)
        # Fast rather than small: half of it is random bytes, which nothing makes smaller.
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
            zipped.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
            with database.open("rb") as source, zipped.open(DATABASE, "w", force_zip64=True) as target:
                _pour(source, target, done)
        stream.flush()
        os.fsync(stream.fileno())


def manifest_of(archive: Path) -> Manifest:
    """Return what a backup says of itself. Raises BackupRefused if it is none, or one of a later version."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            if zipped.getinfo(MANIFEST).file_size > _MANIFEST_MAX_BYTES:
                raise BackupRefused(f"{archive} is no backup of this program.")
            told = zipped.read(MANIFEST)
            zipped.getinfo(DATABASE)
        head = msgspec.json.decode(told, type=dict[str, object])
        if head.get("kind") != _KIND:
            raise BackupRefused(f"{archive} is no backup of this program.")
        if head.get("format") != _FORMAT:
            raise BackupRefused(
                f"{archive} was made by version {head.get('version')}, whose backups this version cannot read."
            )
        return msgspec.json.decode(told, type=Manifest)
    except OSError as error:
        raise BackupRefused(f"{archive}: {error.strerror}.") from None
    except (zipfile.BadZipFile, zlib.error, KeyError, msgspec.MsgspecError, NotImplementedError, EOFError):
        raise BackupRefused(f"{archive} is no backup of this program, or is damaged.") from None


def unpack(archive: Path, manifest: Manifest, database: Path, done: Done) -> None:
    """Write the database out of a backup, and have it on the disk. Raises BackupRefused if it is damaged, OSError."""
    damaged = BackupRefused(f"{archive} is damaged: the database in it is not the one that was put there.")
    try:
        with zipfile.ZipFile(archive) as zipped:
            if zipped.getinfo(DATABASE).file_size != manifest.bytes:
                raise damaged
            with zipped.open(DATABASE) as source, database.open("xb") as target:
                database.chmod(0o600)
                _pour(source, target, done)
                target.flush()
                os.fsync(target.fileno())
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise damaged from None
    if checksum(database) != manifest.sha256:
        raise damaged


def _pour(source: IO[bytes], target: IO[bytes], done: Done) -> None:
    while chunk := source.read(_CHUNK):
        target.write(chunk)
        done(len(chunk))
