"""Administrative boundaries of the large workspaces' countries: a few names each, drawn as squares of our own."""

from collections.abc import Mapping, Sequence
from functools import cache

from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.model import NOW, Json, Row
from rapidpro_integration.sandbox.script import stable_uuid

#: Country -> its name, a corner of it (longitude, latitude), and its regions, each with its districts.
_COUNTRIES: Mapping[str, tuple[str, tuple[float, float], Mapping[str, tuple[str, ...]]]] = {
    "JO": (
        "الأردن",
        (35.5, 31.5),
        {"إربد": ("الرمثا", "بني كنانة"), "المفرق": ("البادية الشمالية",), "عجلون": (), "جرش": ()},
    ),
    "SN": (
        "Sénégal",
        (-17.0, 14.0),
        {"Dakar": ("Pikine",), "Thiès": ("Mbour", "Tivaouane"), "Saint-Louis": ("Podor", "Dagana"), "Matam": ()},
    ),
    "NP": (
        "नेपाल",
        (80.5, 27.0),
        {
            "Koshi": ("Morang", "Ilam"),
            "Madhesh": ("Dhanusha", "Rautahat"),
            "Bagmati": ("Sindhuli",),
            "Gandaki": ("Gorkha",),
            "Lumbini": ("Bardiya",),
            "Karnali": ("Jumla", "Humla", "Dolpa", "Jajarkot"),
            "Sudurpashchim": ("Kailali", "Achham"),
        },
    ),
}
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "إربد": ("Irbid",),
    "Koshi": ("Province 1", "कोशी"),
    "Thiès": ("Cees", "Thies"),
    "Karnali": ("कर्णाली",),
}


@cache
def boundaries(slug: str) -> Sequence[Row]:
    """Return the boundaries of the workspace's country in the order of their numbers, which are text."""
    country = load()[slug].country
    if country not in _COUNTRIES:
        return ()
    name, corner, regions = _COUNTRIES[country]
    bodies = [_boundary(name, None, 0, None)]
    for east, (region, districts) in enumerate(regions.items()):
        bodies.append(_boundary(region, bodies[0], 1, _square(corner, east, 0, 1)))
        parent = bodies[-1]
        bodies += [_boundary(one, parent, 2, _square(corner, east, 0.3 * i, 0.3)) for i, one in enumerate(districts)]
    rows = [Row(number, NOW, NOW, body) for number, body in enumerate(bodies, start=1)]
    return tuple(sorted(rows, key=lambda row: str(row.body["osm_id"])))


def _boundary(name: str, parent: Json | None, level: int, geometry: Json | None) -> Json:
    return {
        # Real numbers are OpenStreetMap's; these are ours, of different lengths as those are.
        "osm_id": str(int(stable_uuid("boundary", name)[:5], 16)),
        "name": name,
        "parent": {"osm_id": parent["osm_id"], "name": parent["name"]} if parent else None,
        "level": level,
        "aliases": list(_ALIASES.get(name, ())),
        "geometry": geometry,
    }


def _square(corner: tuple[float, float], east: float, north: float, side: float) -> Json:
    left, bottom = round(corner[0] + east, 2), round(corner[1] + north, 2)
    right, top = round(left + side, 2), round(bottom + side, 2)
    ring = [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]
    return {"type": "MultiPolygon", "coordinates": [[ring]]}
