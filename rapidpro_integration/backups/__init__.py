"""Backups of the SQLite install: `manage.py backup` and `restore`.

    making    a copy of one moment, taken while the site runs, checked, and packed
    archives  the file of a backup: a zip with the database and what must be known of it
    facts     what a database file holds: version of the schema, keys that its rows need, numbers of rows
    restoring what is wrong with a backup here, and how it takes the place of the database

The keys are not in a backup. PostgreSQL has tools of its own for this (docs/operations.md, Backup and restore).
"""


class BackupRefused(Exception):
    """A backup cannot be made or restored; the text is one or several sentences for the person who asked."""
