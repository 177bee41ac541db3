"""A film for Chromium's fake camera whose every frame carries its number, readable after JPEG compression.

The number stands along the lower edge as twelve blocks, black or white: a white one, ten bits with the highest first,
and a black one. Who reads black first and white last looks at the frame mirrored.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.support.media import camera

FPS = 30  # Chromium plays a film of JPEGs at this rate, whatever it was made for
FRAMES = 600  # then it begins again; an answer that takes 20 seconds would be mistaken for a quick one
BITS, BLOCK, STRIP = 10, 40, 24  # blocks are 40 pixels wide and 24 high
LEFT = (camera.WIDTH - (BITS + 2) * BLOCK) // 2


def write(path: Path) -> Path:
    """Writes the film: the moving face of `tests.support.media.camera` with the numbers. Returns `path`."""
    face = camera.cut_out("astronaut.png")
    turns = 3  # round the ellipse in a loop
    with path.open("wb") as film:
        for number in range(FRAMES):
            picture = camera.frame(face, number * turns / FRAMES % 1)
            stamp(picture, number)
            film.write(cv2.imencode(".jpg", picture)[1].tobytes())
    return path


def stamp(picture: NDArray[np.uint8], number: int) -> None:
    """Draws a number into a BGR or RGB frame."""
    bits = [1, *(number >> place & 1 for place in reversed(range(BITS))), 0]
    row = np.repeat(np.array(bits, np.uint8) * 255, BLOCK)
    picture[-STRIP:, LEFT : LEFT + row.size] = row[None, :, None]


PROBE = f"""(() => {{
  const blocks = {BITS + 2}, block = {BLOCK}, left = {LEFT}, width = {camera.WIDTH}, height = {camera.HEIGHT};
  const loop = {FRAMES};
  const seen = window.fmSeen = {{taken: new Map(), behind: Infinity, shown: [], unread: 0, frames: 0}};
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, 1];
  const context = canvas.getContext("2d", {{willReadFrequently: true}});
  const middles = [...Array(blocks).keys()].map(index => left + index * block + block / 2);
  const number = bits => {{
    if (bits[0] !== 1 || bits[blocks - 1] !== 0) return null;
    return bits.slice(1, -1).reduce((number, bit) => 2 * number + bit, 0);
  }};
  const ofPage = picture => {{
    context.drawImage(picture, 0, height - {STRIP // 2}, width, 1, 0, 0, width, 1);
    const data = context.getImageData(0, 0, width, 1).data;
    return number(middles.map(x => data[4 * x] > 127 ? 1 : 0).reverse());
  }};
  const luma = new Uint8Array(2 * width * 2);
  const ofCamera = async frame => {{  // two rows of the luma alone: turning a whole frame into RGB takes milliseconds
    await frame.copyTo(luma, {{rect: {{x: 0, y: height - {STRIP // 2}, width, height: 2}}}});
    return number(middles.map(x => luma[x] > 127 ? 1 : 0));
  }};
  const takenAt = code => {{
    for (let before = 0; before < 15; before += 1) {{
      const one = seen.taken.get((code - before + loop) % loop);
      if (one !== undefined) return one + seen.behind + before * 1000 / {FPS};
    }}
  }};
  let copy = null;
  const follow = async track => {{
    copy?.stop();
    const mine = copy = track.clone();
    const reader = new MediaStreamTrackProcessor({{track: mine}}).readable.getReader();
    for (;;) {{
      const {{done, value}} = await reader.read();
      if (done) return;
      const taken = value.timestamp / 1000;
      seen.behind = Math.min(seen.behind, performance.now() - taken);
      seen.frames += 1;
      const code = await ofCamera(value);
      value.close();
      if (code === null) continue;
      for (let next = 1; next < loop / 2; next += 1) seen.taken.delete((code + next) % loop);
      seen.taken.set(code, taken);
    }}
  }};
  const media = navigator.mediaDevices, original = media.getUserMedia.bind(media);
  media.getUserMedia = async wish => {{
    const stream = await original(wish);
    follow(stream.getVideoTracks()[0]);
    return stream;
  }};
  document.addEventListener("load", event => {{
    const picture = event.target;
    if (!picture.matches?.("#fm-camera img")) return;
    const code = ofPage(picture), at = code === null ? undefined : takenAt(code);
    if (at === undefined) {{ seen.unread += 1; return; }}
    requestAnimationFrame(() => {{
      const now = performance.now();
      seen.shown.push([now, now - at, code]);
    }});
  }}, true);
}})()"""
"""Runs in a page before its own scripts. `fmSeen.shown` then holds, for each picture that `#fm-camera` showed, when it
was painted, how long after the camera had taken the frame, both in milliseconds, and the frame's number. A frame's time
is the camera's own; the page's clock is taken to be behind it by as much as the quickest delivery took, so that the
wait of a busy page counts. Frames that the probe itself missed are reckoned from those before. Numbers are read
mirrored, as the page shows people themselves: pictures that are not count as `unread`."""
