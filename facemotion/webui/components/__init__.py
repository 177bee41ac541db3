"""Gradio components with our own decoding and checks."""
