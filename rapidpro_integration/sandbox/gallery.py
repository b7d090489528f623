"""The gallery: a workspace whose flows hold every kind of node, action, router and wait, and what goes wrong."""

from rapidpro_integration.sandbox import gallery_flows
from rapidpro_integration.sandbox.canvas import Canvas, results, say
from rapidpro_integration.sandbox.gallery_flows import GROUP, MSG, STAFF
from rapidpro_integration.sandbox.model import Json, Workspace
from rapidpro_integration.sandbox.rows import Written, written_workspace
from rapidpro_integration.sandbox.script import stable_uuid

SLUG = "gallery"
_REF = {"uuid": stable_uuid(SLUG, "thing"), "name": "Bee school"}
_CHILD = {"uuid": stable_uuid(SLUG, "flow", "welcome"), "name": "Welcome to the bee school"}


def contact() -> Canvas:
    """Draw all that can be changed on a contact."""
    flow = Canvas("contact", "Tidy up a contact", "messaging_background")
    flow.node(
        "facts",
        (100, 0),
        [
            ("set_contact_name", {"name": "@(title(contact.name))"}),
            ("set_contact_language", {"language": "fra"}),
            ("set_contact_timezone", {"timezone": "Asia/Kathmandu"}),
            ("set_contact_status", {"status": "active"}),
            ("set_contact_channel", {"channel": {"uuid": _REF["uuid"], "name": "WhatsApp of the school"}}),
            ("set_contact_field", {"field": {"key": "hives", "name": "Hives"}, "value": "@results.active_hives"}),
            ("set_contact_field", {"field": {"key": "old", "name": "Old code"}, "value": ""}),
            ("add_contact_urn", {"scheme": "tel", "path": "@results.phone"}),
        ],
        "groups",
    )
    flow.node(
        "groups",
        (100, 620),
        [
            ("add_contact_groups", {"groups": [GROUP, {"name_match": "@fields.district"}]}),
            ("remove_contact_groups", {"groups": [], "all_groups": True}),
        ],
        None,
    )
    return flow


def outreach() -> Canvas:
    """Draw messages to others, labels, airtime and consent."""
    flow = Canvas("outreach", "Tell the advisers")
    mail = {"addresses": ["adviser@sandbox.example"], "subject": "A new report", "body": "@contact has sent a report."}
    others = {"text": "A swarm was seen near you.", "groups": [STAFF], "contacts": [_REF], "urns": ["tel:+15550199"]}
    flow.node("mail", (0, 0), [("send_email", mail), ("send_broadcast", others)], "label")
    flow.node(
        "label",
        (0, 380),
        [
            ("add_input_labels", {"labels": [{"name": "Swarm"}, {"name": "Urgent"}]}),
            ("start_session", {"flow": _CHILD, "groups": [GROUP], "contacts": [], "exclusions": {}}),
        ],
        "airtime",
    )
    flow.split(
        "airtime",
        (0, 600),
        [("Success", "consent", "has_category", ["Success"]), ("Failure", None, "", [])],
        actions=[("transfer_airtime", {"amounts": {"NPR": 100, "JOD": 0.5}, "result_name": "Airtime"})],
        operand="@results.airtime",
        ui="split_by_airtime",
    )
    flow.node("consent", (0, 860), [("request_optin", {"optin": {"name": "Monthly news"}})], None)
    return flow


def systems() -> Canvas:
    """Draw other systems: a web address, an event, a classifier, a language model, a ticket."""
    flow = Canvas("systems", "Ask the machines")
    calls: list[tuple[str, str, Json]] = [
        (
            "web",
            "call_webhook",
            {"method": "POST", "url": "https://bees.sandbox.example/api?" + "q=1&" * 30, "body": "{}"},
        ),
        ("event", "call_resthook", {"resthook": "new-report"}),
        ("sense", "call_classifier", {"classifier": {"name": "Bee sense"}, "input": "@input.text"}),
        (
            "model",
            "call_llm",
            {"llm": {"name": "Small model"}, "instructions": "Summarise in ten words.", "input": "@input"},
        ),
        ("ticket", "open_ticket", {"topic": {"name": "Bee health"}, "note": "@results.summary", "assignee": None}),
    ]
    for place, (key, type_, body) in enumerate(calls):
        following = calls[place + 1][0] if place + 1 < len(calls) else None
        flow.split(
            key,
            (place * 90, place * 330),
            [("Success", following, "has_only_text", ["Success"]), ("Failure", "sorry", "", [])],
            actions=[(type_, {**body, "result_name": f"Answer {place + 1}"})],
            operand=f"@results.answer_{place + 1}.category",
            ui="split_by_webhook",
        )
    flow.node("sorry", (900, 800), [say("Something went wrong on our side.")], None)
    return flow


def parent() -> Canvas:
    """Draw another flow in the middle, and one for good at the end."""
    flow = Canvas("parent", "First week")
    flow.node("hello", (100, 0), [say("Your first week begins.")], "lesson")
    flow.split(
        "lesson",
        (100, 180),
        [("Complete", "next", "has_only_text", ["completed"]), ("Expired", "lesson", "", [])],
        actions=[("enter_flow", {"flow": _CHILD, "terminal": False})],
        operand="@child.status",
        ui="split_by_subflow",
    )
    flow.node("next", (100, 440), [("enter_flow", {"flow": {"name": "Weekly hive report"}, "terminal": True})], None)
    return flow


def loose() -> Canvas:
    """Draw what editors leave behind: loose exits, a lost step, kinds that nobody knows, two steps on one place."""
    flow = Canvas("loose", "Draft – do not use")
    flow.node("a", (100, 0), [say("Is anybody there?"), ("blow_horn", {"volume": 11})], "b")
    flow.split(
        "b",
        (100, 200),
        [("Yes", None, "has_text", []), ("Gone", "nowhere", "has_colour", ["red"]), ("", "c", "", [])],
        wait=MSG,
    )
    flow.node("c", (100, 200), [], None)
    flow.nodes[1]["exits"].append({"uuid": flow.id("more"), "destination_uuid": flow.id("c")})
    flow.split("d", (500, 0), [("One", "d", "", []), ("Two", "a", "", [])], kind="by_the_moon")
    return flow


def layered() -> Canvas:
    """Draw without a place on the canvas: layers, with two circles and a way past several rows."""
    flow = Canvas("layered", "Imported without a canvas")
    ways = {
        "start": ["a", "b", "c"], "a": ["d", "e"], "b": ["e", "f"], "c": ["end"], "d": ["g"], "e": ["g", "a"],
        "f": ["h", "start"], "g": ["h", "end"], "h": ["end"],
    }  # fmt: skip
    for key, targets in ways.items():
        flow.split(
            key, None, [(f"To {to}", to, "has_any_word", [to]) for to in targets], operand="@results.path", result=key
        )
    flow.node("end", None, [say("All ways end here.")], None)
    return flow


def scripts() -> Canvas:
    """Draw long and awkward texts in many scripts, and some that try to be more than text."""
    flow = Canvas("scripts", "نص طويل <script>alert(1)</script> \u202egnp.exe", language="ara")
    texts = [
        "السلام عليكم! هذه رسالة طويلة عن تربية النحل، فيها أرقام 1234 وكلمات English وسط الجملة، فهل أنتم مستعدون؟",
        "नमस्ते! मौरीपालन सम्बन्धी यो सन्देश धेरै लामो छ, त्यसैले यसलाई धेरै पङ्क्तिमा बाँड्नुपर्छ। के तपाईं तयार हुनुहुन्छ?",
        "សូមស្វាគមន៍មកកាន់សាលាឃ្មុំតើអ្នកចង់រៀនអ្វីមុនគេនៅសប្តាហ៍នេះ",
        "ወደ ንብ ትምህርት ቤት እንኳን ደህና መጡ። በዚህ ሳምንት ምን መማር ይፈልጋሉ?",
        "</text><script>alert(1)</script><svg onload=alert(2)> & \"quotes\" 'single' \u202ereversed\u202c",
        "https://bees.sandbox.example/" + "averylongpathwithoutanybreak" * 12,
        "👩🏽‍🌾🐝🍯 " * 30,
    ]
    for place, text in enumerate(texts):
        following = f"text{place + 1}" if place + 1 < len(texts) else "many"
        flow.node(f"text{place}", (place % 3 * 280, place // 3 * 320), [say(text)], following)
    flow.split("many", (0, 1100), [(f"الفئة {n}", None, "has_any_word", [f"كلمة{n}"]) for n in range(45)], wait=MSG)
    return flow


def national() -> Canvas:
    """Draw four hundred nodes, as the largest real flows have."""
    flow = Canvas("national", "National survey of 400 steps")
    for number in range(200):
        at = (number % 5 * 300, number // 5 * 500)
        following = f"q{number + 1}" if number < 199 else None
        flow.node(
            f"q{number}",
            at,
            [say(f"Question {number + 1}: how was month {number % 12 + 1} for your bees?")],
            f"w{number}",
        )
        flow.split(
            f"w{number}",
            (at[0], at[1] + 180),
            [
                ("Good", following, "has_any_word", ["good 1"]),
                ("Bad", f"q{number + 3}" if number < 190 else None, "has_any_word", ["bad 2"]),
                ("Other", f"q{number}", "", []),
            ],
            wait=MSG,
            result=f"Month {number + 1}",
        )
    return flow


_FLOWS = (
    (gallery_flows.welcome, "message"), (gallery_flows.menu, "message"), (gallery_flows.call, "voice"),
    (gallery_flows.chance, "message"), (gallery_flows.splits, "background"), (gallery_flows.waits, "message"),
    (contact, "background"), (outreach, "message"), (systems, "message"), (parent, "message"), (loose, "message"),
    (layered, "message"), (scripts, "message"), (national, "message"),
)  # fmt: skip
_ODD: dict[str, tuple[str, Json | None]] = {
    "empty": ("Nothing in it yet", {"spec_version": "14.4.1", "language": "eng", "nodes": [], "localization": {}}),
    "legacy": ("From 2015", {"version": "10", "base_language": "eng", "action_sets": [], "rule_sets": []}),
    "lost": ("Without a revision", None),
}


def gallery() -> Workspace:
    """Return the workspace: fourteen flows to look at, one empty, one legacy, and one that the server breaks on."""
    drawn = [(make.__name__, make(), type_) for make, type_ in _FLOWS]
    definitions = {canvas.uuid: canvas.definition() for _, canvas, _ in drawn}
    written = [
        Written(
            key,
            canvas.name,
            type_,
            (),
            f"2026-02-{place:02}T08:00:00",
            f"2026-10-{place:02}T09:30:00",
            (0, 3, 40 * place, 9, 1, 0),
        )
        for place, (key, canvas, type_) in enumerate(drawn, start=1)
    ]
    for place, (key, (name, body)) in enumerate(_ODD.items(), start=1):
        made = f"2025-01-{place:02}T08:00:00"
        written.append(Written(key, name, "message", None if body is None else (), made, made))
        if body is not None:
            flow_uuid = stable_uuid(SLUG, "flow", key)
            definitions[flow_uuid] = {"uuid": flow_uuid, "name": name, "type": "messaging", **body}
    workspace = written_workspace(
        written,
        slug=SLUG,
        name="The bee school",
        country="NP",
        languages=("eng", "fra", "ara"),
        timezone="Asia/Kathmandu",
        groups=("Beekeepers", "Advisers"),
        definitions=definitions,
    )
    for row in workspace.tables["flows"]:
        row.body["results"] = results(definitions.get(row.body["uuid"], {}))
    return workspace
