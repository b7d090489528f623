"""Who may import whom: the rules of docs/architecture.md."""

import ast
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("accounts", ("rapidpro_integration",)),
        ("config", ("rapidpro_integration",)),
        ("rapidpro_integration/client", ("django", "rapidpro_integration.vault", "rapidpro_integration.models")),
        ("rapidpro_integration/pictures", ("django", "rapidpro_integration.client", "rapidpro_integration.models")),
        ("rapidpro_integration/sandbox", ("django", "rapidpro_integration.client", "rapidpro_integration.vault")),
    ],
)
def test_layer_imports_nothing_above_it(folder: str, forbidden: tuple[str, ...]) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        bad = [name for name in imports(path) if name.startswith(forbidden)]
        assert not bad, f"{path.relative_to(ROOT)} imports {bad}"


def test_vault_knows_neither_the_database_nor_the_network() -> None:
    for module in ("vault.py", "keys.py"):
        names = imports(ROOT / "rapidpro_integration" / module)
        names = {name for name in names if not name.startswith("rapidpro_integration.keys")}
        assert not [name for name in names if name.startswith(("django.db", "httpx", "rapidpro_integration."))]
