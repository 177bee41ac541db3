"""Every private name of Gradio that is used or changed.

All was seen in Gradio 6.31.0. Each change says what goes wrong without it, and tests/web/page/test_gradio_patches.py
shows that with Gradio as it is: when an upgrade mends it, the test fails, and the change can go.
"""
