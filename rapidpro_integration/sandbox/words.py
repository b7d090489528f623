"""What generated flows are called and ask: programmes in several languages, places, and questions by theme."""

from collections.abc import Mapping
from dataclasses import dataclass

#: Theme -> questions, each a result with the categories of its answers; no categories means a number.
type Questions = Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]]

ENGLISH_QUESTIONS: Questions = {
    "immunisation": (
        ("Attending", ("Yes", "No")),
        ("Reason", ("Distance", "Illness", "Fear", "Work")),
        ("Next dose", ()),
    ),
    "stock": (("Vials", ()), ("Syringes", ()), ("Cold chain", ("Working", "Broken"))),
    "water": (("Water point", ("Working", "Partly", "Broken")), ("Users", ()), ("Soap available", ("Yes", "No"))),
    "school": (("Girls present", ()), ("Boys present", ()), ("Meal served", ("Yes", "No"))),
    "cash": (("Received", ("Yes", "Not yet")), ("Amount", ()), ("Spent on", ("Food", "School", "Rent", "Health"))),
    "pregnancy": (("Weeks", ()), ("Danger sign", ("Bleeding", "Fever", "None")), ("Birth plan", ("Clinic", "Home"))),
    "nutrition": (("Arm band", ("Green", "Yellow", "Red")), ("Child age", ())),
    "alert": (("Cases", ()), ("Deaths", ()), ("Kind", ("Cholera", "Measles", "Dengue", "Unknown"))),
    "poll": (("Opinion", ("Agree", "Disagree", "Unsure")), ("Age", ()), ("Gender", ("Female", "Male", "Other"))),
    "training": (("Quiz 1", ("Right", "Wrong")), ("Quiz 2", ("Right", "Wrong")), ("Finished", ("Yes", "No"))),
}

FRENCH_QUESTIONS: Questions = {
    "immunisation": (("Présence", ("Oui", "Non")), ("Motif", ("Distance", "Maladie", "Peur", "Travail")), ("Dose", ())),
    "stock": (("Flacons", ()), ("Seringues", ()), ("Chaîne du froid", ("En marche", "En panne"))),
    "water": (("Forage", ("En marche", "Partiel", "En panne")), ("Usagers", ()), ("Savon", ("Oui", "Non"))),
    "school": (("Filles présentes", ()), ("Garçons présents", ()), ("Repas servi", ("Oui", "Non"))),
    "cash": (("Reçu", ("Oui", "Pas encore")), ("Montant", ()), ("Dépense", ("Nourriture", "École", "Loyer", "Santé"))),
    "pregnancy": (("Semaines", ()), ("Signe de danger", ("Saignement", "Fièvre", "Aucun"))),
    "nutrition": (("Bracelet", ("Vert", "Jaune", "Rouge")), ("Âge de l’enfant", ())),
    "alert": (("Cas", ()), ("Décès", ()), ("Maladie", ("Choléra", "Rougeole", "Dengue", "Inconnue"))),
    "poll": (("Avis", ("D’accord", "Pas d’accord", "Sans avis")), ("Âge", ())),
    "training": (("Question 1", ("Juste", "Faux")), ("Question 2", ("Juste", "Faux"))),
}


@dataclass(frozen=True, slots=True)
class Tongue:
    """One language of generated names: programmes by theme, places, and endings that versions of a flow get."""

    code: str
    programmes: Mapping[str, tuple[str, ...]]
    places: tuple[str, ...]
    endings: tuple[str, ...]


FRENCH = Tongue(
    "fra",
    {
        "immunisation": ("Rappel de vaccination", "Rattrapage rougeole"),
        "stock": ("Rapport de stock hebdomadaire", "Rupture de vaccins"),
        "water": ("Suivi des forages", "Lavage des mains à l’école"),
        "school": ("Présence à l’école", "Cantine scolaire"),
        "cash": ("Bourse familiale : confirmation", "Transfert monétaire"),
        "pregnancy": ("Consultation prénatale", "Suivi de grossesse"),
        "nutrition": ("Dépistage malnutrition",),
        "alert": ("Alerte épidémie", "Surveillance choléra"),
        "poll": ("Sondage jeunes", "Retour des communautés"),
        "training": ("Formation des relais", "Quiz agents de santé"),
    },
    (
        *("Matam", "Kolda", "Sédhiou", "Ziguinchor", "Tambacounda", "Kédougou", "Podor", "Linguère", "Kaffrine"),
        *("Bakel", "Vélingara", "Oussouye", "Foundiougne", "Mbacké", "Louga", "Dagana"),
    ),
    ("", "(pilote)", "2024", "2025", "— relance", "v2", "– copie", "✅"),
)

WOLOF = Tongue(
    "wol",
    {
        "immunisation": ("Ñakk xale yi",),
        "water": ("Ndox mu set",),
        "school": ("Daara ak jàng",),
        "pregnancy": ("Wér-gi-yaramu jigéen ñu ëmb",),
        "nutrition": ("Lekku xale",),
        "poll": ("Xalaatu ndaw ñi",),
    },
    ("Ndar", "Tiwaawan", "Cees", "Kawlax", "Njurbel", "Tuubaa"),
    ("", "(ñaareel)", "2025", "v2"),
)

NEPALI = Tongue(
    "nep",
    {
        "immunisation": ("खोप सम्झना", "दादुरा अभियान"),
        "stock": ("साप्ताहिक खोप मौज्दात",),
        "water": ("खानेपानी र सरसफाइ",),
        "school": ("विद्यालय उपस्थिति", "दिवा खाजा"),
        "cash": ("नगद सहायता पुष्टि",),
        "pregnancy": ("गर्भवती जाँच", "सुरक्षित मातृत्व"),
        "nutrition": ("बाल पोषण जाँच",),
        "alert": ("महामारी सूचना",),
        "poll": ("युवा मत",),
        "training": ("स्वयंसेविका तालिम",),
    },
    ("कैलाली", "अछाम", "डोल्पा", "हुम्ला", "सिन्धुली", "धनुषा", "रौतहट", "मोरङ", "इलाम", "जुम्ला", "बर्दिया", "गोरखा"),
    ("", "(परीक्षण)", "२०८१", "२०८२", "— दोस्रो चरण", "v2"),
)

HINDI = Tongue(
    "hin",
    {
        "immunisation": ("टीकाकरण अनुस्मारक",),
        "school": ("स्कूल उपस्थिति",),
        "nutrition": ("आंगनवाड़ी पोषण",),
        "poll": ("युवा सर्वेक्षण",),
        "training": ("आशा प्रशिक्षण",),
    },
    ("सीमा क्षेत्र", "पूर्वी खंड", "पश्चिमी खंड", "नगर"),
    ("", "2025", "v3"),
)

AMHARIC = Tongue(
    "amh",
    {
        "immunisation": ("የክትባት ማስታወሻ",),
        "stock": ("የመድኃኒት ክምችት ሪፖርት",),
        "water": ("የውሃ ነጥብ ክትትል",),
        "cash": ("የገንዘብ ድጋፍ ማረጋገጫ",),
        "alert": ("የወረርሽኝ ማስጠንቀቂያ",),
    },
    ("ጎንደር", "ሐዋሳ", "አዳማ", "ጅማ"),
    ("", "(ሙከራ)", "2017"),
)

KHMER = Tongue(
    "khm",
    {
        "immunisation": ("ការរំលឹកចាក់វ៉ាក់សាំង",),
        "water": ("ទឹកស្អាត និងអនាម័យ",),
        "school": ("វត្តមានសិស្ស",),
        "pregnancy": ("ការពិនិត្យផ្ទៃពោះ",),
        "training": ("វគ្គបណ្តុះបណ្តាល",),
    },
    ("សៀមរាប", "កំពត", "រតនគិរី", "ពោធិ៍សាត់"),
    ("", "(សាកល្បង)", "២០២៥"),
)

ENGLISH = Tongue(
    "eng",
    {
        "immunisation": ("Immunisation reminder", "Measles catch-up 💉"),
        "stock": ("Weekly stock report", "Essential medicines stock-out"),
        "water": ("WASH monitoring", "Latrine survey 🚰"),
        "school": ("School attendance", "Textbook delivery"),
        "cash": ("Cash transfer verification", "Post-distribution monitoring"),
        "pregnancy": ("Antenatal reminders", "Newborn care 👶"),
        "nutrition": ("Nutrition screening",),
        "alert": ("Outbreak alert", "Flood early warning 🌊"),
        "poll": ("Youth poll", "Community feedback"),
        "training": ("Health worker training", "Refresher quiz"),
    },
    (
        "Province 1",
        "Madhesh",
        "Bagmati",
        "Gandaki",
        "Lumbini",
        "Karnali",
        "Sudurpashchim",
        "Region 7",
        "Border districts",
    ),
    ("", "(pilot)", "2024", "2025", "2026", "v2", "DRAFT", "[do not use]", "- copy", "/ supervisors"),
)

#: Names that have broken pages: markup, a right-to-left override, nothing at all, and as long as RapidPro allows.
AWKWARD_NAMES = (
    "<script>alert('flow')</script> & <b>bold</b>",
    "Vaccine report \u202egpj.xcod 2026",
    "",
    ("Emergency preparedness and response: rapid needs assessment of households, schools and health posts " * 3)[:199]
    + "…",
    "📣📣 सूचना — ማስታወቂያ — ការជូនដំណឹង — إشعار",
    '"Quoted" \\ back\\slash %s {{ name }} {% now %} ${x}',
)
