"""What several benchmarks write into one page."""

from pathlib import Path

from benchmarks.sections import put, sections


def test_section_is_added_then_replaced_and_all_else_stays(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("# Benchmarks\n\nOf the client.\n", "utf-8")
    put(page, "list", "Ten seconds.")
    put(page, "site", "Two pages a second.")
    put(page, "list", "One second.\n")
    assert page.read_text("utf-8") == (
        "# Benchmarks\n\nOf the client.\n\n"
        "<!-- list: begin -->\nOne second.\n<!-- list: end -->\n\n"
        "<!-- site: begin -->\nTwo pages a second.\n<!-- site: end -->\n"
    )


def test_page_that_is_written_anew_keeps_the_sections_of_others(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("Old.\n", "utf-8")
    put(page, "list", "One second.")
    page.write_text("New.\n" + sections(page.read_text("utf-8")), "utf-8")
    assert page.read_text("utf-8") == "New.\n\n<!-- list: begin -->\nOne second.\n<!-- list: end -->\n"
