"""Charts: what is drawn is what the table says."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as some

from rapidpro_integration.staff.charts import HEIGHT, WIDTH, Chart, Series, round_up, shares
from rapidpro_integration.staff.ranges import range_of

COLUMNS = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(3)]


@given(some.floats(min_value=0, max_value=1e12))
def test_the_upper_edge_is_round_and_holds_everything(value: float) -> None:
    top = round_up(value)
    assert top >= value
    assert top == 1 or top / 2.5 <= value
    assert str(top)[0] in "124568"
    assert set(str(top)[1:]) <= {"0"}


@given(some.lists(some.lists(some.integers(0, 10_000), min_size=3, max_size=3), min_size=1, max_size=5))
def test_bars_stay_in_the_box_and_are_as_high_as_their_sum(values: list[list[int]]) -> None:
    chart = Chart("x", "X", COLUMNS, [Series("good", "Good", each) for each in values])
    for bar in chart.bars:
        assert bar.x >= 0
        assert bar.y >= -0.05
        assert bar.x + bar.width <= WIDTH + 0.05
        assert bar.y + bar.height <= HEIGHT + 0.05
    drawn = sum(bar.height for bar in chart.bars) * chart.top / HEIGHT
    assert abs(drawn - sum(map(sum, values))) <= 0.02 * 15 * chart.top / HEIGHT + 0.01


def test_a_line_breaks_off_where_nothing_is_known() -> None:
    chart = Chart("x", "X", COLUMNS, [Series("blue", "Median", [50, None, 100])], "lines")
    assert chart.lines == [("blue", "0.00,100.00 0.00,100.00"), ("blue", "1000.00,0.00 1000.00,0.00")]
    assert [row.values for row in chart.rows] == [[100], [50]]


def test_an_empty_chart_says_so() -> None:
    chart = Chart("x", "X", [], [])
    assert chart.is_empty
    assert (chart.bars, chart.lines, chart.rows, chart.first_text) == ([], [], [], "")
    assert Chart("x", "X", COLUMNS, [Series("good", "Good", [0, 0, 0])]).is_empty


def test_shares_fill_the_bar() -> None:
    bars = shares([("good", 1), ("bad", 0), ("warn", 3)])
    assert [(bar.css, bar.x, bar.width) for bar in bars] == [("good", 0, 250), ("warn", 250, 750)]
    assert shares([]) == []


def test_ranges_have_a_column_for_every_hour_or_day() -> None:
    for name, number in {"24h": 25, "30d": 31, "90d": 91, "365d": 53}.items():
        within = range_of({"range": name})
        columns = within.columns()
        assert len(columns) == number
        assert columns[0] == within.since
        assert columns[-1] <= within.until
        assert within.column_of(within.until) == columns[-1]
        assert within.column_of(columns[1]) == columns[1]
    assert len(range_of({"range": "nonsense"}).columns()) in {28, 29}


def test_what_is_written_here_is_numbers_and_times_alone() -> None:
    chart = Chart("x", "<b>", COLUMNS, [Series("good", "<i>", [1234, 0, 7])], is_hourly=True)
    assert chart.drawing().count("<rect") == 2
    assert chart.table_rows() == (
        '<tr><th scope="row">1 Jan 2026, 02:00</th><td class="num">7</td></tr>'
        '<tr><th scope="row">1 Jan 2026, 00:00</th><td class="num">1,234</td></tr>'
    )
