import ibis
from hypothesis import given, settings
from hypothesis import strategies as st

from homefeed.dataset.history import add_histories, add_num_today
from homefeed.engine import Engine
from homefeed.features.config import HistoryConfig

EVENTS = st.lists(
    st.tuples(
        st.integers(0, 2),  # user
        st.integers(0, 8),  # time: few values, so that most events are tied
        st.integers(0, 99),  # pin
        st.integers(2, 4),  # action
    ),
    max_size=40,
)


@given(events=EVENTS, length=st.integers(1, 6), delay_seconds=st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_histories_are_what_came_strictly_before(
    engine: Engine, events: list[tuple[int, int, int, int]], length: int, delay_seconds: int
) -> None:
    names = ("user_index", "timestamp", "pin", "action_row")
    columns = {name: [event[i] for event in events] for i, name in enumerate(names)}
    columns["event_id"] = list(range(len(events)))
    kinds = {name: "int64" for name in columns} | {"pin": "int32", "action_row": "int32"}
    table = engine.keep("events", ibis.memtable(columns, schema=kinds))
    added = {"history": "pin", "history_actions": "action_row", "history_times": "timestamp"}
    config = HistoryConfig(length=length, delay_hours=delay_seconds / 3600)
    rows = add_histories(table, "user_index", added, config).to_pyarrow().to_pylist()
    assert len(rows) == len(events)
    for row in rows:
        before = [
            (time, event_id, pin, action)
            for event_id, (user, time, pin, action) in enumerate(events)
            if user == row["user_index"] and time <= row["timestamp"] - max(1, delay_seconds)
        ]
        recent = sorted(before, reverse=True)[:length]
        assert row["history"] == [pin for _, _, pin, _ in recent]
        assert row["history_actions"] == [action for _, _, _, action in recent]
        assert row["history_times"] == [time for time, _, _, _ in recent]
        assert row.keys() == columns.keys() | added.keys()


@given(events=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), max_size=40))
@settings(max_examples=60, deadline=None)
def test_a_day_counts_what_its_user_did_in_it_before(events: list[tuple[int, int]]) -> None:
    quarter = 86_400 // 4
    columns = {
        "user_index": [user for user, _ in events],
        "timestamp": [1_000_000_000 + time * quarter for _, time in events],
        "event_id": list(range(len(events))),
    }
    table = ibis.memtable(columns, schema=dict.fromkeys(columns, "int64"))
    found = add_num_today(table, "user_index").order_by("event_id").to_pyarrow().to_pylist()
    assert [row["num_today"] for row in found] == [
        sum(
            other == user and (its_time, place) < (time, event_id) and time - its_time <= 4
            for place, (other, its_time) in enumerate(events)
        )
        for event_id, (user, time) in enumerate(events)
    ]
