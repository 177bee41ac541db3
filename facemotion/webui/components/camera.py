"""Camera components. Frames are exchanged as `data:` URLs, never as files.

Drawn frames are not given back to the component they came from: `gr.Image` leaves about 16 elements of the page behind
for each picture that it shows, so that after minutes the browser needs twice as long for the next. They go into a
hidden element, from which static/camera.js shows them.
"""

from __future__ import annotations

import base64
import time

import cv2
import gradio as gr
import numpy as np
from numpy.typing import NDArray

from facemotion.webui.components.uploads import PhotoInput

ELEMENT_ID, DRAWN_ID = "fm-camera", "fm-drawn"
FRAME_SIZE = (640, 480)  # requested from the browser; a face two metres away has about 40 pixels
JPEG_QUALITY = 85  # encodes a frame in 3 ms; the boxes' edges stay clean

_ERRORS = {
    "NotAllowedError": "The browser did not give the camera free. Allow it beside the address, then start again.",
    "NotFoundError": "No camera was found. Connect one, then start again.",
    "NotReadableError": "The camera is in use by another program. Close that one, then start again.",
    "Ended": "The camera was switched off or unplugged. Start again once it is back.",
    "Insecure": "Browsers give a camera only to pages opened with https, or on localhost.",
}
_OTHER_ERROR = "The camera did not start. Reload the page and try again."


def build(label: str) -> PhotoInput:
    """Add the camera to the current layout; handlers receive `images.Picture`."""
    width, height = FRAME_SIZE
    video = {"width": {"ideal": width}, "height": {"ideal": height}, "facingMode": "user"}
    return PhotoInput(
        label=label,
        sources=["webcam"],
        streaming=True,
        interactive=True,
        webcam_options=gr.WebcamOptions(mirror=True, constraints={"video": video}),
        buttons=[],
        elem_id=ELEMENT_ID,
    )


def output() -> gr.HTML:
    """Add the hidden element for annotated frames from `encode_frame`; static/camera.js shows them."""
    return gr.HTML("", visible="hidden", elem_id=DRAWN_ID)


def error_text(reason: str) -> str | None:
    """The message for the `reason` that START or STOP returned; None when there was no error."""
    return _ERRORS.get(reason, _OTHER_ERROR) if reason else None


def encode_frame(drawn: NDArray[np.uint8]) -> str:
    """Encode RGB uint8 [H, W, 3] as an HTML element whose value is the `data:` URL of a JPEG.

    No two are alike, or the page would not notice the second of two equal frames.
    """
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    encoded = cv2.imencode(".jpg", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR), quality)[1]
    url = "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
    return f'<data value="{url}" data-at="{time.monotonic_ns()}"></data>'


# Both are in static/camera.js. The result is empty, or the name of what the browser refused; of STOP, of what ended it.
START = "() => window.fmCamera.start()"
STOP = "() => window.fmCamera.stop()"
