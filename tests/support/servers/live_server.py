"""app.py with another handler for the camera's frames, for the comparison in benchmarks/live/.

    python -m tests.support.servers.live_server KIND

KIND is "facemotion" (the app as it is), "untouched" (our page, whose handler returns the frame that it gets) or "plain"
(gradio's own camera component in an app of its own, whose handler returns the frame).
"""

from __future__ import annotations

import runpy
import sys
from typing import Any


def untouched() -> None:
    """The app, whose camera only goes through gradio, and through our reading and writing of JPEGs."""
    from facemotion.webui.components import camera
    from facemotion.webui.sessions import webcam

    def step(self: Any, frame: Any, one: Any, session: str) -> list[Any]:
        skip = webcam.gr.skip()
        return [skip if frame is None else camera.encode_frame(frame.pixels), skip, skip, skip]

    webcam.WebcamSessions.step = step  # type: ignore[method-assign]
    runpy.run_path("app.py", run_name="__main__")


START = """async () => {
  const box = document.querySelector("#fm-camera");
  const until = async find => { while (!find()) await new Promise(resolve => setTimeout(resolve, 50)); return find(); };
  box.querySelector('[title="grant webcam access"] button').click();
  const button = await until(() => box.querySelector('button[aria-label="capture photo"]'));
  await until(() => box.querySelector("video").videoWidth > 0);
  button.click();
}"""
EVERY_S = 0.03  # gradio sends at every tick, answered or not: faster, it drowns itself


def plain() -> None:
    """What gradio's guide shows, with frames of the same size."""
    import gradio as gr

    video = {"width": {"ideal": 640}, "height": {"ideal": 480}}
    with gr.Blocks() as demo:
        options = gr.WebcamOptions(mirror=True, constraints={"video": video})
        picture = gr.Image(sources=["webcam"], streaming=True, webcam_options=options, elem_id="fm-camera")
        start = gr.Button("Start camera")
        start.click(None, js=START)
        every = {"stream_every": EVERY_S, "time_limit": 600}
        picture.stream(lambda frame: frame, picture, picture, show_progress="hidden", **every)
    demo.launch()


if __name__ == "__main__":
    kind = sys.argv[1]
    if kind == "facemotion":
        runpy.run_path("app.py", run_name="__main__")
    else:
        {"untouched": untouched, "plain": plain}[kind]()
