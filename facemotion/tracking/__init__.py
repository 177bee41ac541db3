"""Face tracking over time: ids, live sessions, timelines."""
