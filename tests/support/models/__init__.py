"""Models and faces made by hand, whose answers are known."""
