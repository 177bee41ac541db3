"""The HTTP server around Gradio: routes, limits, errors, uploads."""
