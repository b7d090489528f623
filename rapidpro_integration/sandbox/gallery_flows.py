"""The flows of the gallery, first half: what is said, asked, waited for and chosen."""

from rapidpro_integration.sandbox.canvas import Canvas, say
from rapidpro_integration.sandbox.model import Json
from rapidpro_integration.sandbox.script import stable_uuid

MSG: Json = {"type": "msg"}
GROUP = {"uuid": stable_uuid("gallery", "group", "Beekeepers"), "name": "Beekeepers"}
STAFF = {"uuid": stable_uuid("gallery", "group", "Advisers"), "name": "Advisers"}


def welcome() -> Canvas:
    """Draw one message with everything on it, in three languages, one of them half done."""
    flow = Canvas("welcome", "Welcome to the bee school")
    flow.node(
        "hello",
        (100, 0),
        [
            say(
                "Welcome to the bee school, @contact.first_name! What would you like to learn first?",
                attachments=["image:https://bees.sandbox.example/hive.jpg"],
                quick_replies=["Hives", "Honey", "Health"],
            )
        ],
        "topic",
    )
    flow.split(
        "topic",
        (100, 260),
        [
            ("Hives", "hives", "has_any_word", ["hives hive 1"]),
            ("Honey", "honey", "has_any_word", ["honey 2"]),
            ("Health", None, "has_any_word", ["health 3"]),
            ("Other", "hello", "", []),
        ],
        wait=MSG,
        result="Topic",
    )
    flow.node(
        "hives", (0, 560), [say("A hive stands dry, in the sun of the morning, an arm's length from the next.")], None
    )
    flow.node("honey", (320, 560), [say("Harvest when three quarters of the cells are closed.")], None)
    flow.translate(
        "fra", "hello", "action", 0,
        text=["Bienvenue à l'école des abeilles, @contact.first_name ! Par quoi commencer ?"],
        quick_replies=["Ruches", "Miel", "Santé"],
    )  # fmt: skip
    for place, name in enumerate(("Ruches", "Miel", "Santé", "Autre")):
        flow.translate("fra", "topic", "category", place, name=[name])
    flow.translate("fra", "hives", "action", 0, text=["Une ruche reste au sec, au soleil du matin."])
    flow.translate("fra", "honey", "action", 0, text=["Récoltez quand les trois quarts des alvéoles sont fermés."])
    flow.translate("ara", "hello", "action", 0, text=["أهلاً بك في مدرسة النحل يا @contact.first_name! بماذا تبدأ؟"])
    return flow


def menu() -> Canvas:
    """Draw a menu of eight answers that comes again, with a time-out."""
    flow = Canvas("menu", "Weekly hive report")
    flow.node("ask", (200, 0), [say("How many of your hives are active this week? Send a number.")], "number")
    flow.split(
        "number",
        (200, 180),
        [
            ("None", "sorry", "has_number_eq", ["0"]),
            ("A few", "weather", "has_number_between", ["1", "10"]),
            ("Many", "weather", "has_number_gt", ["10"]),
            ("Other", "again", "", []),
            ("No Response", "remind", "", []),
        ],
        wait=MSG,
        timeout=(5400, "No Response"),
        result="Active hives",
    )
    flow.node("again", (820, 180), [say("That was no number. Please try again, for example 4.")], "number")
    flow.node("remind", (520, 420), [say("We are still waiting for your number.")], "number")
    flow.node("sorry", (0, 520), [say("We are sorry. An adviser will call you.")], None)
    flow.node("weather", (240, 520), [say("How is the weather?")], "choose")
    flow.split(
        "choose",
        (240, 700),
        [
            *((name, "thanks", "has_phrase", [name.lower()]) for name in ("Dry", "Rain", "Wind", "Frost")),
            *((name, "again", "has_pattern", [pattern]) for name, pattern in (("Hail", "ha[iy]l"), ("Fog", "^fog"))),
            ("Date", None, "has_date_gt", ["2026-01-01"]),
            ("Other", "weather", "", []),
        ],
        wait=MSG,
        result="Weather",
    )
    flow.node("thanks", (240, 1150), [say("Thank you for your report.")], None)
    return flow


def call() -> Canvas:
    """Draw a telephone call: spoken words, a recording, keys, and a call passed on."""
    flow = Canvas("call", "Swarm hotline (IVR)", "voice")
    spoken = {"text": "You have reached the swarm hotline.", "audio_url": "https://bees.sandbox.example/hello.mp3"}
    flow.node("greet", (100, 0), [("say_msg", spoken)], "keys")
    flow.split(
        "keys",
        (100, 200),
        [
            ("1", "adviser", "has_number_eq", ["1"]),
            ("2", "play", "has_number_eq", ["2"]),
            ("Other", "greet", "", []),
        ],
        wait=MSG | {"hint": {"type": "digits", "count": 1}},
        result="Choice",
        ui="wait_for_menu",
    )
    flow.split(
        "adviser",
        (0, 480),
        [
            ("Answered", None, "has_only_text", ["answered"]),
            ("Busy", "play", "has_only_text", ["busy"]),
            ("Failed", None, "", []),
        ],
        operand='@(default(resume.dial.status, ""))',
        wait={"type": "dial", "phone": "+15550123", "dial_limit_seconds": 60},
        ui="wait_for_dial",
    )
    flow.node("play", (330, 480), [("play_audio", {"audio_url": "https://bees.sandbox.example/swarm.mp3"})], "record")
    flow.split(
        "record", (330, 660), [("All Responses", None, "", [])],
        wait=MSG | {"hint": {"type": "audio"}}, result="Description", ui="wait_for_audio",
    )  # fmt: skip
    return flow


def chance() -> Canvas:
    """Draw four ways at random, which meet again."""
    flow = Canvas("chance", "Which reminder works best?")
    flow.split(
        "draw",
        (400, 0),
        [(f"Bucket {n}", f"text{n}", "", []) for n in range(1, 5)],
        kind="random",
        result="Arm",
        ui="split_by_random",
    )
    texts = (
        "Feed your bees.",
        "Bees are hungry in March 🐝",
        "Have you fed your bees?",
        "A kilo of sugar saves a hive.",
    )
    for place, text in enumerate(texts, start=1):
        flow.node(f"text{place}", (280 * (place - 1), 260), [say(text)], "end")
    flow.node("end", (400, 460), [("set_run_result", {"name": "Sent", "value": "@(now())", "category": "Done"})], None)
    return flow


def splits() -> Canvas:
    """Draw every kind of thing to choose by, one after another."""
    flow = Canvas("splits", "Who gets which advice", "messaging_background")
    kinds = [
        ("group", "@contact.groups", "split_by_groups", "has_group", [GROUP["uuid"], GROUP["name"]]),
        ("field", "@fields.hives", "split_by_contact_field", "has_number_gte", ["5"]),
        ("language", "@contact.language", "split_by_contact_field", "has_only_phrase", ["fra"]),
        ("scheme", "@(urn_parts(contact.urn).scheme)", "split_by_scheme", "has_only_phrase", ["whatsapp"]),
        ("result", "@results.weather.category", "split_by_run_result", "has_category", ["Dry", "Wind"]),
        ("phone", '@(default(urn_parts(urns.tel).path, ""))', "split_by_expression", "has_beginning", ["+977"]),
        (
            "expression",
            '@(if(contact.fields.hives > 3, "big", "small"))',
            "split_by_expression",
            "has_all_words",
            ["big"],
        ),
        ("district", "@fields.district", "split_by_contact_field", "has_district", ["Kaski"]),
    ]
    for place, (key, operand, ui, test, arguments) in enumerate(kinds):
        following = kinds[place + 1][0] if place + 1 < len(kinds) else None
        flow.split(
            key,
            (place % 2 * 300, place * 190),
            [("Yes", "advice" if place % 3 == 0 else following, test, arguments), ("Other", following, "", [])],
            operand=operand,
            ui=ui,
        )
    flow.node("advice", (700, 600), [say("Our adviser visits you on Monday.")], None)
    return flow


def waits() -> Canvas:
    """Draw all that can be waited for, each with its own patience."""
    flow = Canvas("waits", "Send us your hive")
    hints = [("image", "picture", 300), ("audio", "sound", 3_600), ("video", "film", 86_400), ("location", "place", 45)]
    for place, (hint, noun, seconds) in enumerate(hints):
        following = hints[place + 1][0] if place + 1 < len(hints) else "thanks"
        flow.node(hint, (0, place * 420), [say(f"Please send us a {noun} of your hive.")], f"wait {hint}")
        flow.split(
            f"wait {hint}",
            (0, place * 420 + 160),
            [("All Responses", following, "", []), ("No Response", "late", "", [])],
            wait=MSG | {"hint": {"type": hint}},
            timeout=(seconds, "No Response"),
            result=f"Hive {noun}",
            ui=f"wait_for_{hint}",
        )
    flow.node("thanks", (0, 1700), [say("Thank you!")], None)
    flow.node("late", (420, 900), [say("Some other time then.")], None)
    return flow
