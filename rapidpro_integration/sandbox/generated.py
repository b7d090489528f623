"""The two large workspaces: generated from words and a fixed seed, so that each start gives the same rows."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from rapidpro_integration.sandbox.model import NOW, Json, Row, Workspace, newest_first
from rapidpro_integration.sandbox.rows import EXPIRES_MINUTES, Counts, flow_row, other_tables, ref
from rapidpro_integration.sandbox.script import Ask, Call, Choice, Join, Say, Script, Step, result_key, stable_uuid
from rapidpro_integration.sandbox.words import (
    AMHARIC,
    AWKWARD_NAMES,
    ENGLISH,
    ENGLISH_QUESTIONS,
    FRENCH,
    FRENCH_QUESTIONS,
    HINDI,
    KHMER,
    NEPALI,
    WOLOF,
    Questions,
    Tongue,
)

BEGIN = datetime(2016, 3, 7, tzinfo=UTC)
_TYPES = ("message", "voice", "background", "survey", None)


class _Generator:
    """Makes the flows of one workspace, oldest first."""

    def __init__(
        self, slug: str, tongues: Sequence[Tongue], weights: Sequence[int], questions: Questions, labels: Sequence[str]
    ) -> None:
        self.random = random.Random(f"sandbox {slug}")  # noqa: S311 - invented data, not a secret.
        self.slug, self.tongues, self.weights, self.questions = slug, tongues, weights, questions
        self.labels = [ref(slug, "label", name) for name in labels]
        self.type_weights = (86, 5, 4, 4, 1)
        self.names: set[str] = set()
        self.scripts: dict[str, Script] = {}
        self.rows: list[Row] = []

    def flow(self, created_on: datetime, name: str | None = None) -> None:
        """Add one flow."""
        tongue = self.random.choices(self.tongues, self.weights)[0]
        theme = self.random.choice(list(tongue.programmes))
        title = self.random.choice(tongue.programmes[theme])
        type_ = self.random.choices(_TYPES, self.type_weights)[0]
        name = self._name(tongue, title) if name is None else name
        flow_uuid = stable_uuid(self.slug, "flow", len(self.rows))
        has_revision = type_ is not None and self.random.random() > 0.004
        steps = self._steps(theme, title) if has_revision else []
        expires = EXPIRES_MINUTES.get(type_ or "", 4320)
        script = Script(
            flow_uuid, name, type_, (tongue.code,), steps, self.random.randint(1, 60), expires, workspace=self.slug
        )
        if has_revision:
            self.scripts[flow_uuid] = script
        self.rows.append(
            flow_row(
                len(self.rows) + 1,
                script,
                created_on,
                self._modified(created_on),
                runs=self._counts(type_),
                labels=self._labels(),
                archived=self.random.random() < 0.05,
                parent_refs=self._parent_refs(theme),
            )
        )

    def _name(self, tongue: Tongue, title: str) -> str:
        parts = [title, "–", self.random.choice(tongue.places), self.random.choice(tongue.endings)]
        name = " ".join(part for part in parts if part)
        number = 2
        while name in self.names:
            name = f"{' '.join(part for part in parts if part)} {number}"
            number += 1
        self.names.add(name)
        return name

    def _steps(self, theme: str, title: str) -> list[Step]:
        steps: list[Step] = [Say((title,))]
        asked = self.questions[theme]
        for result, categories in asked[: self.random.randint(1, len(asked))]:
            choices = [Choice((word,), "has_any_word", (word.lower(),)) for word in categories]
            steps.append(Ask(result, (f"{title}: {result}?",), tuple(choices or [Choice(("Number",), "has_number")])))
        if self.random.random() < 0.3:
            steps.append(Join(self.random.choice(GROUPS)))
        if self.scripts and self.random.random() < 0.08:
            child = self.random.choice(list(self.scripts.values()))
            steps.append(Call(child.flow_uuid, child.name))
        return steps

    def _modified(self, created_on: datetime) -> datetime:
        if self.random.random() < 0.1:
            return created_on
        span_s = (NOW - created_on).total_seconds()
        later = created_on + timedelta(seconds=span_s * self.random.random() ** 3)
        whole = self.random.random() < 0.05
        return max(created_on, later.replace(microsecond=0 if whole else self.random.randrange(1, 10**6)))

    def _counts(self, type_: str | None) -> Counts:
        if type_ is None or self.random.random() < 0.15:
            return (0, 0, 0, 0, 0, 0)
        total = int(10 ** (5.7 * self.random.random() ** 1.2))
        completed = int(total * self.random.uniform(0.2, 0.95))
        expired = int((total - completed) * 0.9) if type_ in ("message", "voice") else 0
        waiting = int(total * self.random.uniform(0, 0.04)) if type_ == "message" else 0
        left = total - completed - expired
        return (min(left, self.random.randint(0, 3)), waiting, completed, expired, left // 2, left // 9)

    def _labels(self) -> list[Json]:
        return self.random.sample(self.labels, self.random.choices((0, 1, 2, 3), (50, 35, 12, 3))[0])

    def _parent_refs(self, theme: str) -> list[str]:
        return [result_key(self.questions[theme][0][0])] if self.random.random() < 0.04 else []


GROUPS = ("Mothers", "Supervisors", "Teachers", "Testers ✔", "Health workers", "Volunteers")


def _moments(generator: _Generator, count: int) -> list[datetime]:
    """Return moments spread over the years, denser towards the end, some of them on a whole second."""
    span_s = (NOW - timedelta(days=1) - BEGIN).total_seconds()
    moments = []
    for _ in range(count):
        moment = BEGIN + timedelta(seconds=span_s * generator.random.random() ** 0.6)
        whole = generator.random.random() < 0.06
        moments.append(moment.replace(microsecond=0 if whole else generator.random.randrange(1, 10**6)))
    return sorted(moments)


def districts() -> Workspace:
    """Return the workspace of 251 flows: one more than a page, thirty of them imported at one moment."""
    labels = ("Vaccination", "Nutrition", "Eau", "École", "Pilote", "À revoir")
    generator = _Generator("districts", (FRENCH, WOLOF), (8, 2), FRENCH_QUESTIONS, labels)
    imported = datetime(2023, 2, 14, 9, 30, tzinfo=UTC)
    for moment in sorted([*_moments(generator, 221), *[imported] * 30]):
        generator.flow(moment)
    return _workspace(
        generator, labels, "Districts sanitaires — Santé ak Jàng", "SN", ("fra", "wol"), "Africa/Dakar", "day_first"
    )


def national() -> Workspace:
    """Return the workspace of 2,600 flows: 320 were imported at one moment, and the newest six have awkward names."""
    labels = ("खोप", "WASH", "Education", "Cash 💵", "ክትባት", "Archive 2019", "Pilot", "សាកល្បង", "QA", "National")
    tongues = (NEPALI, ENGLISH, HINDI, AMHARIC, KHMER)
    generator = _Generator("national", tongues, (45, 30, 8, 9, 8), ENGLISH_QUESTIONS, labels)
    imported = datetime(2021, 7, 1, 6, 0, 0, 125_000, tzinfo=UTC)
    for moment in sorted([*_moments(generator, 2274), *[imported] * 320]):
        generator.flow(moment)
    for place, name in enumerate(AWKWARD_NAMES):
        generator.flow(NOW - timedelta(hours=20 - 3 * place, microseconds=place), name)
    name = "राष्ट्रिय स्वास्थ्य सन्देश — National Health Messaging"
    languages = ("nep", "eng", "hin", "amh", "khm")
    return _workspace(generator, labels, name, "NP", languages, "Asia/Kathmandu", "year_first")


def _workspace(
    generator: _Generator,
    labels: Sequence[str],
    name: str,
    country: str,
    languages: tuple[str, ...],
    timezone: str,
    date_style: str,
) -> Workspace:
    slug = generator.slug
    return Workspace(
        slug=slug,
        uuid=stable_uuid("workspace", slug),
        name=name,
        country=country,
        languages=languages,
        timezone=timezone,
        date_style=date_style,
        tables={"flows": newest_first(generator.rows), **other_tables(slug, country, labels, GROUPS)},
        scripts=generator.scripts,
    )
