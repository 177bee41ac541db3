"""The camera as a component: frames come and go as `data:` URLs, never as files; and the scripts that work it."""

from __future__ import annotations

import base64

import cv2
import gradio as gr
import numpy as np
from gradio.data_classes import ImageData
from numpy.typing import NDArray

from facemotion.webui.photo_input import PhotoInput

ELEMENT_ID = "fm-camera"
FRAME_SIZE = (640, 480)  # asked of the browser; a face two metres away has about 40 pixels then
JPEG_QUALITY = 85  # encodes a frame in 3 ms; the boxes' edges stay clean

_REFUSALS = {
    "NotAllowedError": "The browser did not give the camera free. Allow it beside the address, then start again.",
    "NotFoundError": "No camera was found. Connect one, then start again.",
    "NotReadableError": "The camera is in use by another program. Close that one, then start again.",
    "Ended": "The camera was switched off or unplugged. Start again once it is back.",
    "Insecure": "Browsers give a camera only to pages opened with https, or on localhost.",
}
_REFUSED = "The camera did not start. Reload the page and try again."


class CameraInput(PhotoInput):
    """A camera that streams: handlers receive `images.Picture` and return RGB uint8 [H, W, 3], shown in its place.

    `gr.Image` would write every frame that it shows to a file; here none touches the disk.
    """

    def postprocess(self, value: NDArray[np.uint8] | None) -> ImageData | None:  # type: ignore[override]
        """The picture as a `data:` URL of a JPEG."""
        return None if value is None else ImageData(url=_jpeg_url(value))


def build(label: str) -> CameraInput:
    """The camera in the current layout; not a constructor, since gradio reads a component's settings from that one's
    signature."""
    width, height = FRAME_SIZE
    video = {"width": {"ideal": width}, "height": {"ideal": height}, "facingMode": "user"}
    return CameraInput(
        label=label,
        sources=["webcam"],
        streaming=True,
        interactive=True,
        webcam_options=gr.WebcamOptions(mirror=True, constraints={"video": video}),
        buttons=[],
        elem_id=ELEMENT_ID,
    )


def refusal(reason: str) -> str | None:
    """What to tell a visitor when START or STOP returned `reason`; None when there was nothing."""
    return _REFUSALS.get(reason, _REFUSED) if reason else None


def _jpeg_url(image: NDArray[np.uint8]) -> str:
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


# Both are in assets/camera.js. The result is empty, or the name of what the browser refused; of STOP, of what ended it.
START = "() => window.fmCamera.start()"
STOP = "() => window.fmCamera.stop()"
