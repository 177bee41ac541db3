"""Analyses in time: lasting ids, one viewer's live session, who showed what and for how long."""
