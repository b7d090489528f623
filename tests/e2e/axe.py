"""axe-core in a page under the strict CSP: no script tag is added, the browser itself evaluates it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import axe_playwright_python  # type: ignore[import-untyped]
from playwright.sync_api import Page

SCRIPT = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice")
EVERYTHING: dict[str, Any] = {
    "runOnly": {"type": "tag", "values": list(_TAGS)},
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations"],
}
# What can differ between a light and a dark page: nothing but colours.
COLOURS: dict[str, Any] = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
    "resultTypes": ["violations"],
}
SHAPE: dict[str, Any] = EVERYTHING | {
    "rules": EVERYTHING["rules"] | {name: {"enabled": False} for name in COLOURS["runOnly"]["values"]}
}
# A colour that is still on its way to the next one is none that a person reads. All rows of a list come from the same
# lines of a template: of a long one the first ones are looked at.
_RUN = """async options => {
    document.getAnimations().forEach(animation => animation.finish());
    const where = { include: [["html"]], exclude: [["tbody > tr:nth-child(n+31)"]] };
    return (await axe.run(where, options)).violations.flatMap(rule => rule.nodes.map(node => ({
        rule: rule.id, target: node.target.flat(9).join(" "), html: node.html.slice(0, 160),
        why: node.any.concat(node.all, node.none).map(check => check.message).join(" ").slice(0, 260) })));
}"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One element that breaks a rule of axe-core."""

    rule: str
    target: str
    html: str
    why: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.target}: {self.html}: {self.why}"


def findings(page: Page, options: dict[str, Any]) -> list[Finding]:
    """Return what axe-core finds in the page as it is now. The context has SCRIPT as an init script."""
    return [Finding(**each) for each in page.evaluate(_RUN, options)]
