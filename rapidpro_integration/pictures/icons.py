"""Icons as paths of strokes in a square of 16: our own, drawn for this."""

from collections.abc import Mapping

ICONS: Mapping[str, str] = {
    "message": "M2 3h12v8H7l-3 3v-3H2z",
    "voice": "M2 6v4h3l4 3V3L5 6zM11.5 5.5q2 2.5 0 5M13 3.5q3.500 4.500 0 9",
    "mail": "M2 4h12v9H2zM2 4l6 5 6-5",
    "flow": "M6 2h4v3H6zM2 11h4v3H2zM10 11h4v3h-4zM8 5v3M4 11V8h8v3",
    "group": "M6 7.500a2.500 2.500 0 1 0-.01 0zM1.500 14q0-4.500 4.500-4.500t4.500 4.500M10.500 7a2 2 0 1 0 0-4"
    "M12 9.500q2.500.500 2.500 4",
    "contact": "M8 8a3 3 0 1 0-.01 0zM2.500 14.500q0-5 5.500-5t5.500 5",
    "result": "M3 2h8l2 2v10H3zM5.500 9l2 2 3.500-4",
    "label": "M2 2h6l6 6-6 6-6-6zM5 5.010V5",
    "call": "M8 14A6 6 0 1 0 7.990 14zM2 8h12M8 2q4 6 0 12M8 2q-4 6 0 12",
    "ticket": "M2 4h12v3q-2 1 0 2v3H2V9q2-1 0-2zM9 4v8",
    "airtime": "M5 1.500h6v13H5zM8 12.510v-.010M7 5h2M7 8h2",
    "other": "M8 14A6 6 0 1 0 7.990 14zM6 6.500q0-2 2-2t2 2q0 1-2 2v.500M8 11.510v-.010",
    "wait": "M8 14A6 6 0 1 0 7.990 14zM8 4.500V8l2.500 2",
    "timeout": "M4 2h8M4 14h8M5 2q0 4 3 6 3-2 3-6M5 14q0-4 3-6 3 2 3 6",
    "split": "M8 1.500V6M8 6L3 10v4M8 6l5 4v4M1.500 12.500L3 14l1.500-1.500M11.500 12.500L13 14l1.500-1.500",
    "random": "M1.500 4H5l6 8h3M1.500 12H5l6-8h3M12.500 2.500L14 4l-1.500 1.500M12.500 10.500L14 12l-1.500 1.500",
}
