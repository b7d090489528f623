"""Indexes that are made while the site goes on writing: for migrations of tables that may be large.

PostgreSQL makes an index in the usual way under a lock that holds back every write; CONCURRENTLY it takes longer and
holds back nobody. A migration with these has `atomic = False`.
"""

from typing import Any

from django.db.migrations import AddIndex
from django.db.migrations.operations.base import Operation


class AddIndexQuietly(AddIndex):
    """AddIndex, CONCURRENTLY on PostgreSQL."""

    atomic = False

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Make the index, after what a try that was broken off has left of it is gone."""
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.remove_index(model, self.index, concurrently=True)  # IF EXISTS
            schema_editor.add_index(model, self.index, concurrently=True)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Take the index away."""
        if schema_editor.connection.vendor != "postgresql":
            super().database_backwards(app_label, schema_editor, from_state, to_state)
            return
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.remove_index(model, self.index, concurrently=True)


class AddPostgresIndex(Operation):
    """An index that no model can state: on another application's table, or in an order that SQLite does not know.

    PostgreSQL alone has it, CONCURRENTLY; a site on SQLite is not so large.
    """

    atomic = False
    reversible = True
    reduces_to_sql = True

    def __init__(self, name: str, table: str, columns: str) -> None:
        self.name, self.table, self.columns = name, table, columns

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Leave the models as they are."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Make the index, after what a try that was broken off has left of it is gone."""
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.name}")
            schema_editor.execute(f"CREATE INDEX CONCURRENTLY {self.name} ON {self.table} ({self.columns})")

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Take the index away."""
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.name}")

    def describe(self) -> str:
        """Return what `migrate` prints."""
        return f"Create index {self.name} on {self.table} ({self.columns}) where it is on PostgreSQL"
