"""Conversion of any pixel format to RGB: opacity over white, 16 bits scaled, profiles to sRGB."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from facemotion.errors import UnsupportedFormat

_MAX_PROFILE_BYTES = 4_000_000  # printers' CMYK profiles have 0.5 to 3 MB; larger ones are ignored
_MAX_CACHED_BYTES = 65_536  # cameras' and phones' have 0.5 to 3 kB
_WHITE = (255, 255, 255)
_FULL = 65_535  # white level of 16 bits
_CAMERA_LEVELS = (1023, 4095, 16_383)  # white levels of 10, 12 and 14 bits
_DARKEST = 511  # an image without larger values is really black

Transform = ImageCms.ImageCmsTransform


def srgb_transform(image: Image.Image) -> Transform | None:
    """Transform from the image's profile to sRGB; None without a profile, or for a broken or sRGB profile.

    Browsers embed the sRGB profile in every camera frame. Building a transform takes 12 ms, applying it 27 ms at 640 x
    480.
    """
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or len(profile) > _MAX_PROFILE_BYTES:
        return None
    mode = "CMYK" if image.mode == "CMYK" else "RGB"
    return _cached_transform(profile, mode) if len(profile) <= _MAX_CACHED_BYTES else _build_transform(profile, mode)


def _build_transform(profile: bytes, mode: str) -> Transform | None:
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space.strip() != mode:
            return None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        return None if mode == "RGB" and _is_identity(transform) else transform
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):  # a broken profile: the colours are taken as sRGB
        return None


_cached_transform = lru_cache(maxsize=16)(_build_transform)


def _is_identity(transform: Transform) -> bool:
    """Whether the transform moves no colour of a regular grid by more than a rounding."""
    levels = np.linspace(0, 255, 18).astype(np.uint8)  # in steps of 15
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 18, 3)
    moved = np.asarray(ImageCms.applyTransform(Image.fromarray(grid), transform))
    return int(np.abs(moved.astype(int) - grid).max()) <= 1


def white_level(image: Image.Image) -> int:
    """The white level of a 16-bit grey image, by the number of bits its values use.

    Cameras of 10, 12 and 14 bits store their values as they are, so that a photo would come out nearly black.
    """
    if image.mode != "I;16":
        return _FULL
    largest = np.max(image.getextrema())
    return next((full for full in _CAMERA_LEVELS if _DARKEST < largest <= full), _FULL)


def flatten(image: Image.Image, transform: Transform | None, white: int) -> Image.Image:
    """Convert to RGB over white; of the profiles only that of CMYK is applied.

    `white` is the `white_level` of the whole image, of which this may be a part.
    """
    if image.mode.startswith("I;16"):
        return _from_16_bits(image, white)
    if image.mode == "CMYK" and transform is not None:
        return ImageCms.applyTransform(image, transform) or image.convert("RGB")
    if image.mode == "La":  # which Pillow converts to LA alone
        image = image.convert("LA")
    if image.has_transparency_data:
        return _over_white(image if image.mode == "RGBA" else image.convert("RGBA"))
    if image.mode in ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"):
        return image if image.mode == "RGB" else image.convert("RGB")
    raise UnsupportedFormat(
        f"Pictures of Pillow's mode {image.mode} are not read here. Please convert it to RGB first."
    )


def correct(image: Image.Image, transform: Transform | None) -> Image.Image:
    """Apply `transform` if it is one from RGB."""
    if transform is None or transform.input_mode != "RGB":
        return image
    return ImageCms.applyTransform(image, transform) or image


def _over_white(image: Image.Image) -> Image.Image:
    flat = Image.new("RGB", image.size, _WHITE)
    flat.paste(image, mask=image.getchannel("A"))
    return flat


def _from_16_bits(image: Image.Image, white: int) -> Image.Image:
    """Scale grey of 0 to `white` to 0 to 255; Pillow's own conversion clips."""
    values = np.asarray(image)
    grey = ((values.astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey).convert("RGB")
