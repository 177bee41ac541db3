"""Gradio's faults, shown with and without our changes to it."""
