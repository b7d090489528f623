"""What contacts write and workspaces send outside flows, by language."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrases:
    """Sentences in one language: sent to many (the second is a yes-or-no question), written by a contact, and noted."""

    sent: tuple[str, ...]
    written: tuple[str, ...]
    yes_no: tuple[str, str]
    notes: tuple[str, ...] = ()


PHRASES: Mapping[str, Phrases] = {
    "ara": Phrases(
        (
            "العيادة مغلقة يوم الخميس. المواعيد تنتقل إلى الأحد.",
            "هل تحتاجون إلى بطاقة تطعيم جديدة؟",
            "توزيع حقائب النظافة غداً الساعة 9 عند المدرسة.",
        ),
        ("متى يفتح المركز؟", "طفلي حرارته 39 منذ أمس", "شكراً لكم 🌷", "لم تصلني الدفعة", "غيّرت رقمي، هذا الجديد"),
        ("نعم", "لا"),
        ("اتصلنا بها يوم الأحد.", "تحتاج إلى مواصلات إلى العيادة."),
    ),
    "eng": Phrases(
        (
            "The clinic is closed on Thursday; appointments move to Sunday.",
            "Do you need a new vaccination card?",
            "Water trucks come at 7 tomorrow, one day early 🚰",
        ),
        ("When do you open?", "My son has a fever since yesterday", "Thank you!!", "I did not get the money", "STOP"),
        ("Yes", "No"),
        ("Called her on Sunday.", "Needs transport to the clinic."),
    ),
    "fra": Phrases(
        (
            "Le poste de santé est fermé jeudi ; les rendez-vous passent à lundi.",
            "Avez-vous reçu la moustiquaire ?",
            "Pesée des enfants demain à 9 h sous le grand arbre.",
        ),
        ("À quelle heure ouvrez-vous ?", "Ma fille tousse depuis 3 jours", "Merci beaucoup 🙏", "Je n’ai rien reçu"),
        ("Oui", "Non"),
        ("Rappelée lundi, pas de réponse.", "À orienter vers l’hôpital."),
    ),
    "wol": Phrases(
        ("Ëllëg ci suba lañuy ñakk xale yi.", "Ndax jot nga sàngu bi?"),
        ("Kañ ngeen di ubbi?", "Jërëjëf", "Sama doom dafa feebar"),
        ("Waaw", "Déedéet"),
    ),
    "nep": Phrases(
        (
            "बिहीबार स्वास्थ्य चौकी बन्द रहन्छ।",
            "तपाईंको बच्चाले दोस्रो मात्रा पायो?",
            "भोलि बिहान ७ बजे खोप कार्यक्रम छ, कार्ड लिएर आउनुहोस्।",
        ),
        ("कति बजे खुल्छ?", "बच्चालाई ज्वरो आएको छ", "धन्यवाद 🙏", "पैसा आएको छैन", "म अर्को गाउँमा सरेँ"),
        ("छ", "छैन"),
        ("आइतबार फोन गरियो।", "घरमै भेट्नुपर्ने।"),
    ),
    "hin": Phrases(
        ("गुरुवार को केंद्र बंद रहेगा।", "क्या आपको टीका कार्ड चाहिए?"),
        ("केंद्र कब खुलेगा?", "बच्चे को बुखार है", "धन्यवाद"),
        ("हाँ", "नहीं"),
    ),
    "amh": Phrases(
        ("ጤና ጣቢያው ሐሙስ ዝግ ነው።", "የክትባት ካርድ ይፈልጋሉ?"),
        ("ስንት ሰዓት ይከፈታል?", "ልጄ ትኩሳት አለው", "አመሰግናለሁ"),
        ("አዎ", "አይ"),
    ),
    "khm": Phrases(
        ("មណ្ឌលសុខភាពបិទថ្ងៃព្រហស្បតិ៍។", "តើអ្នកត្រូវការកាតចាក់វ៉ាក់សាំងទេ?"),
        ("តើបើកម៉ោងប៉ុន្មាន?", "កូនខ្ញុំក្តៅខ្លួន", "អរគុណ"),
        ("បាទ/ចាស", "ទេ"),
    ),
}
