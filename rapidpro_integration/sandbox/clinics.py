"""The small workspace: twelve flows of a clinic network in northern Jordan, written by hand in Arabic and English."""

from rapidpro_integration.sandbox.model import Workspace
from rapidpro_integration.sandbox.rows import Written, written_workspace
from rapidpro_integration.sandbox.script import Ask, Call, Choice, Fetch, Join, Keep, Say, Step, stable_uuid

SLUG = "clinics"
LANGUAGES = ("ara", "eng")

YES = Choice(("نعم", "Yes"), "has_any_word", ("نعم اه yes y 1",))
NO = Choice(("لا", "No"), "has_any_word", ("لا no n 2",))
NUMBER = Choice(("رقم", "Number"), "has_number_between", ("0", "10000"))
ANYTHING = Choice(("نص", "Text"), "has_text")
OTHER = ("غير ذلك", "Other")

LABELS = ("تطعيم", "المخزون", "Cash", "مدارس", "Pilot 2026")
GROUPS = ("الأمهات الحوامل", "Vaccinators", "مشرفو المدارس", "Water committee", "Cash recipients", "صحة الطفل")


def _ask(result: str, arabic: str, english: str, *choices: Choice) -> Ask:
    return Ask(result, (arabic, english), choices, OTHER)


def _say(arabic: str, english: str) -> Say:
    return Say((arabic, english))


def _uuid(key: str) -> str:
    return stable_uuid(SLUG, "flow", key)


VACCINATION: list[Step] = [
    _ask(
        "Coming",
        "مرحباً @contact.name، موعد تطعيم طفلك غداً في العيادة. هل ستحضرون؟",
        "Hello @contact.name, your child's vaccination is tomorrow at the clinic. Will you come?",
        Choice(
            YES.category,
            YES.test,
            YES.arguments,
            ("شكراً، ننتظركم. أحضروا بطاقة التطعيم.", "Thank you. Bring the card."),
        ),
        NO,
    ),
    _ask(
        "Reason",
        "ما السبب؟ 1 المواصلات، 2 المرض، 3 الدوام",
        "What is the reason? 1 transport, 2 illness, 3 work",
        Choice(("المواصلات", "Transport"), "has_number_eq", ("1",)),
        Choice(("المرض", "Illness"), "has_number_eq", ("2",)),
        Choice(("الدوام", "Work"), "has_number_eq", ("3",)),
    ),
    Join("صحة الطفل"),
    Keep("last_reminder", "@now"),
]

STOCK: list[Step] = [
    _say("تقرير المخزون الأسبوعي. أرسل الأرقام فقط.", "Weekly stock report. Send numbers only."),
    _ask("BCG vials", "كم عبوة BCG لديكم؟", "How many BCG vials do you have?", NUMBER),
    _ask("OPV doses", "كم جرعة شلل أطفال فموي؟", "How many oral polio doses?", NUMBER),
    _ask("MMR vials", "كم عبوة MMR؟", "How many MMR vials?", NUMBER),
    _ask("Fridge", "هل بقيت الثلاجة بين 2 و 8 درجات؟", "Did the fridge stay between 2 and 8 degrees?", YES, NO),
    Fetch("Stock sent", "POST", "https://stock.sandbox.example/weekly"),
]

CASH: list[Step] = [
    _ask("Received", "هل استلمت الدفعة النقدية لهذا الشهر؟", "Did you receive this month's cash transfer?", YES, NO),
    _ask("Amount", "كم ديناراً استلمت؟", "How many dinars did you receive?", NUMBER),
    _ask("Problem", "هل واجهتك مشكلة؟ اكتبها هنا.", "Did you have a problem? Write it here.", ANYTHING),
    Join("Cash recipients"),
]

ATTENDANCE: list[Step] = [
    _ask("Girls present", "كم طالبة حضرت اليوم؟", "How many girls are present today?", NUMBER),
    _ask("Boys present", "كم طالباً حضر اليوم؟", "How many boys are present today?", NUMBER),
    _ask("Teacher", "هل حضر جميع المعلمين؟", "Were all teachers present?", YES, NO),
]

WATER: list[Step] = [
    _ask(
        "Water point",
        "ما حال نقطة المياه؟ 1 تعمل، 2 تعمل جزئياً، 3 معطلة",
        "How is the water point? 1 working, 2 partly, 3 broken",
        Choice(("تعمل", "Working"), "has_number_eq", ("1",)),
        Choice(("جزئياً", "Partly"), "has_number_eq", ("2",)),
        Choice(("معطلة", "Broken"), "has_number_eq", ("3",), ("سنرسل فريق الصيانة.", "We will send the repair team.")),
    ),
    _ask("Queue minutes", "كم دقيقة الانتظار؟", "How many minutes is the queue?", NUMBER),
]

PREGNANCY: list[Step] = [
    _ask("Week", "في أي أسبوع من الحمل أنت؟", "In which week of pregnancy are you?", NUMBER),
    _ask("Danger sign", "هل لديك نزيف أو صداع شديد؟", "Do you have bleeding or a strong headache?", YES, NO),
    _say("موعد الزيارة القادمة بعد أربعة أسابيع.", "Your next visit is in four weeks."),
]

REGISTRATION: list[Step] = [
    _ask("Mother name", "ما اسمك الكامل؟", "What is your full name?", ANYTHING),
    Keep("full_name", "@results.mother_name"),
    Join("الأمهات الحوامل"),
    Call(_uuid("pregnancy"), "المتابعة أثناء الحمل"),
    _say("تم التسجيل. شكراً لك.", "You are registered. Thank you."),
]

MEASLES: list[Step] = [
    _say(
        "رسالة من وزارة الصحة: الحصبة مرض معدٍ، والتطعيم مجاني.", "A message from the ministry: measles vaccine is free."
    ),
    _ask("Heard", "اضغط 1 إذا سمعت الرسالة، و 2 لإعادتها.", "Press 1 if you heard it, 2 to repeat.", YES, NO),
]

NIGHTLY: list[Step] = [
    Fetch("Registry", "GET", "https://registry.sandbox.example/children?since=@run.created_on"),
    Keep("synced_on", "@now"),
]

SATISFACTION: list[Step] = [
    _ask(
        "Rating",
        "كيف تقيّم الخدمة من 1 إلى 5؟",
        "How do you rate the service from 1 to 5?",
        Choice(("راضٍ", "Satisfied"), "has_number_between", ("4", "5")),
        Choice(("محايد", "Neutral"), "has_number_eq", ("3",)),
        Choice(("غير راضٍ", "Dissatisfied"), "has_number_between", ("1", "2")),
    ),
    _ask("Waiting", "كم دقيقة انتظرت؟", "How many minutes did you wait?", NUMBER),
    _ask("Comment", "ملاحظات أخرى؟", "Any other comment?", ANYTHING),
]

WINTER: list[Step] = [
    _ask("Kit", "هل استلمت عائلتك حقيبة الشتاء؟", "Did your family get the winter kit?", YES, NO),
    _ask("Blankets", "كم بطانية كانت فيها؟", "How many blankets were in it?", NUMBER),
]


FLOWS = (
    Written(
        "vaccination", "تذكير بمواعيد التطعيم", "message", VACCINATION,
        "2024-02-11T08:30:12.481209", "2026-11-19T06:12:44.093512", (3, 412, 18230, 6114, 208, 9), (0,),
    ),
    Written(
        "stock", "تقرير مخزون اللقاحات الأسبوعي — Weekly vaccine stock", "message", STOCK,
        "2023-09-03T10:05:00", "2026-11-16T07:00:00", (0, 17, 2406, 388, 12, 3), (1, 4),
    ),
    Written(
        "cash", "Cash transfer: payment received? / التحويلات النقدية", "message", CASH,
        "2025-01-20T13:44:51.700018", "2026-11-05T09:31:02.555001", (0, 1290, 46711, 11502, 940, 31), (2,),
    ),
    Written(
        "attendance", "متابعة الحضور المدرسي", "message", ATTENDANCE,
        "2025-08-24T05:15:09.120400", "2026-10-29T11:20:37.412233", (0, 64, 9120, 1877, 44, 0), (3,),
    ),
    Written(
        "water", "WASH: نقاط المياه في المخيم", "message", WATER,
        "2024-06-02T09:00:00", "2026-08-13T14:02:26.330987", (0, 5, 731, 96, 2, 1), (),
    ),
    Written(
        "pregnancy", "المتابعة أثناء الحمل", "message", PREGNANCY,
        "2023-05-14T07:48:33.009164", "2026-09-21T12:17:55.871340", (1, 230, 5402, 1260, 88, 4), (4,),
        parent_refs=("mother_name",),
    ),
    Written(
        "registration", "تسجيل أم جديدة (Registration)", "message", REGISTRATION,
        "2023-05-14T08:10:27.664201", "2026-09-21T12:25:03.101118", (1, 41, 6120, 702, 19, 0), (),
    ),
    Written(
        "measles", "IVR: رسالة صوتية عن الحصبة", "voice", MEASLES,
        "2026-03-01T10:30:00", "2026-04-12T16:45:18.274655", (0, 0, 3377, 5210, 0, 126), (0,),
    ),
    Written(
        "nightly", "مزامنة ليلية مع سجل الأطفال", "background", NIGHTLY,
        "2025-11-30T22:01:40.350072", "2026-11-20T01:00:07.000451", (0, 0, 354, 0, 0, 2), (),
    ),
    Written(
        "satisfaction", "استبيان رضا المرضى 📋", "survey", SATISFACTION,
        "2026-07-05T06:55:20.902817", "2026-07-19T08:08:08.080808", (0, 0, 1043, 0, 0, 0), (4,),
    ),
    Written(
        "menu", "قائمة USSD القديمة *134#", None, None,
        "2019-10-08T11:11:11.110110", "2021-01-17T15:39:02.640990", (0, 0, 0, 0, 0, 0), (),
    ),
    Written(
        "winter", "Winter kits 2023 — حقائب الشتاء", "message", WINTER,
        "2023-11-19T09:26:48.219905", "2024-04-02T07:33:00", (0, 0, 812, 240, 17, 0), (2,), True,
    ),
)  # fmt: skip


def clinics() -> Workspace:
    """Return the workspace of twelve flows."""
    return written_workspace(
        FLOWS,
        slug=SLUG,
        name="عيادات الشمال — Northern Clinics",
        country="JO",
        languages=LANGUAGES,
        timezone="Asia/Amman",
        labels=LABELS,
        groups=GROUPS,
        first_id=1001,
    )
