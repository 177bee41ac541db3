"""Entry of the Space, and of `python app.py` at home: builds the page as `demo` and launches it.

GRADIO_SERVER_NAME, GRADIO_SERVER_PORT and GRADIO_SHARE say where; FACEMOTION_WEIGHTS, FACEMOTION_DETECTOR and
FACEMOTION_LIVE_DETECTOR say with which models; GRADIO_TEMP_DIR says in which folder to make the one for uploads and
results.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

import numpy as np

from facemotion import FaceDetector, FacemotionError, Pipeline, settings
from facemotion.webui.server import upload_folder as uploads

try:
    settings.server_port()  # gradio raises while it is imported where this is no number
except FacemotionError as error:
    raise SystemExit(f"facemotion: {error.message}") from None
folder = uploads.use_own_folder()  # before gradio is imported, which reads where its files go

from facemotion.webui import build_page, launch_options  # noqa: E402

pipeline = Pipeline.from_pretrained()
one_for_all = settings.live_detector_name() == settings.detector_name()
live = pipeline if one_for_all else Pipeline(FaceDetector.from_pretrained("live"), pipeline.classifier)
demo = build_page(pipeline, live)


def warm_up() -> None:
    """Lets all models run once on grey pixels, so that the first visitor does not wait for what is done only once."""
    grey = np.full((720, 1280, 3), 128, np.uint8)
    pipeline.analyze(grey)
    live.analyze(grey, detail="fast")
    pipeline.classifier.classify([grey[:64, :64]])


def stop(number: int, frame: FrameType | None) -> None:
    """Deletes the uploads and ends the server; in this order, since an open page may keep it from ending for longer
    than `docker stop` waits before it kills."""
    uploads.remove(folder)
    signal.default_int_handler(number, frame)


if __name__ == "__main__":
    uploads.keep_clean(folder)
    for number in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C, `kill`, `docker stop`
        signal.signal(number, stop)
    try:
        demo.launch(prevent_thread_lock=True, **launch_options())
        threading.Thread(target=warm_up).start()  # no daemon: a network that runs while Python ends aborts the process
        demo.block_thread()
    except FacemotionError as error:
        raise SystemExit(f"facemotion: {error.message}") from None
    finally:
        uploads.remove(folder)
