import ibis
from hypothesis import given, settings
from hypothesis import strategies as st

from homefeed.dataset.history import add_histories
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
    events: list[tuple[int, int, int, int]], length: int, delay_seconds: int
) -> None:
    names = ("user_index", "timestamp", "pin", "action_row")
    columns = {name: [event[i] for event in events] for i, name in enumerate(names)}
    columns["event_id"] = list(range(len(events)))
    kinds = {name: "int64" for name in columns} | {"pin": "int32", "action_row": "int32"}
    table = ibis.memtable(columns, schema=kinds)
    added = {"history": "pin", "history_actions": "action_row"}
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
        assert row.keys() == columns.keys() | added.keys()
