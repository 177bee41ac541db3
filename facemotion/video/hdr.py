"""Conversion of HDR frames (HLG or PQ, ITU-R BT.2100) to the colours of BT.709.

Without conversion they are grey and dim. The reference white of BT.2408 becomes white, and brighter values are clipped.
FFmpeg's own conversion takes 1 to 3 seconds before the first frame, and leaves white at 70 % or colours paler.
"""

from __future__ import annotations

from functools import cache

import av
import cv2
import numpy as np
from numpy.typing import NDArray

_PQ, _HLG = 16, 18  # AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67
_WHITE_NITS, _WHITE_HLG = 203, 0.75  # reference white in both: BT.2408-7, table 1
_LEVELS = 65536  # of 16 bits

# Linear RGB -> linear RGB of BT.709, by AVColorPrimaries: 12 is P3 with daylight's white, 1 is BT.709 itself.
_BT2020 = ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187))  # BT.2087, annex 2
_TO_BT709 = {
    1: ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    12: ((1.2249, -0.2247, 0), (-0.0420, 1.0419, 0), (-0.0197, -0.0786, 1.0979)),
}


def is_hdr(frame: av.VideoFrame) -> bool:
    """Whether the frame's transfer characteristic is HLG or PQ."""
    return frame.color_trc in (_PQ, _HLG)


def to_bt709(pixels: NDArray[np.uint16], frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Convert RGB uint16 [H, W, 3] of an HDR frame to RGB uint8 [H, W, 3] with the curve of sRGB."""
    light = np.take(_linear_levels(int(frame.color_trc)), pixels)
    matrix = np.array(_TO_BT709.get(int(frame.color_primaries), _BT2020), np.float32)
    light = np.clip(cv2.transform(light, matrix), 0, 1)
    return np.asarray(_srgb_levels()[np.rint(light * (_LEVELS - 1)).astype(np.uint16)], np.uint8)


@cache
def _linear_levels(transfer: int) -> NDArray[np.float32]:
    """Linear light of each 16-bit level, 1 for the reference white."""
    signal = np.linspace(0, 1, _LEVELS)
    light = _from_pq(signal) / _WHITE_NITS if transfer == _PQ else _from_hlg(signal) / _from_hlg(np.array(_WHITE_HLG))
    return light.astype(np.float32)


def _from_pq(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Luminance in nits of a PQ signal (BT.2100-2, table 4)."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = signal ** (1 / m2)
    return np.asarray(10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1))


def _from_hlg(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scene light 0..1 of an HLG signal (BT.2100-2, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


@cache
def _srgb_levels() -> NDArray[np.uint8]:
    """8-bit sRGB level of each linear light in 16 bits (IEC 61966-2-1)."""
    light = np.linspace(0, 1, _LEVELS)
    signal = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(signal * 255), np.uint8)
