"""Every private name of Gradio that is used or changed."""
