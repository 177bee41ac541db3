"""Writes results and uploads completely or not at all.

Gradio 6.31.0 leaves partial files when the disk is full, or when the visitor disconnects during an upload.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from gradio import processing_utils, route_utils
from PIL import Image
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException

from facemotion import settings
from facemotion.atomic import atomic_write
from facemotion.suffixes import VIDEO_SUFFIXES


def install() -> None:
    """Replace Gradio's functions and upload parser globally."""
    processing_utils.save_bytes_to_cache = save_bytes
    processing_utils.save_pil_to_cache = save_image
    route_utils.GradioMultiPartParser = UploadParser  # type: ignore[misc]


def save_bytes(data: bytes, file_name: str, cache_dir: str) -> str:
    """Write to a file of that name, in a folder named after the content, and return its path.

    Raises:
        OSError: it cannot be written, such as on a full disk; then nothing of it is there.
    """
    folder = Path(cache_dir) / processing_utils.hash_bytes(data)
    folder.mkdir(exist_ok=True, parents=True)
    target = folder / Path(file_name).name
    try:
        with atomic_write(target) as (temporary,):
            temporary.write_bytes(data)
    except OSError:
        with suppress(OSError):  # it holds the same content under another name
            folder.rmdir()
        raise
    return str(target.resolve())


def save_image(img: Image.Image, cache_dir: str, name: str = "image", format: str = "webp") -> str:
    """Write an image in a format of Pillow; the arguments are named as in Gradio."""
    data: bytes = processing_utils.encode_pil_to_bytes(img, format)  # type: ignore[no-untyped-call]
    return save_bytes(data, f"{name}.{format}", cache_dir)


def move_to_cache(path: Path, cache_dir: str) -> str:
    """Moves a file to where Gradio would copy it, a folder named after its content, and returns its path there."""
    folder = Path(cache_dir) / processing_utils.hash_file(path)
    folder.mkdir(exist_ok=True)
    return str(path.replace(folder / path.name).resolve())


class UploadParser(route_utils.GradioMultiPartParser):
    """Gradio's upload parser with cleanup and limits.

    Gradio's own does not delete files when the visitor disconnects or the disk is full, has the same size limit for
    photos and videos, and keeps form fields in memory.
    """

    _part_bytes = 0

    def on_part_begin(self) -> None:
        """As in gradio."""
        super().on_part_begin()
        self._part_bytes = 0

    def on_headers_finished(self) -> None:
        """As in gradio.

        Raises:
            MultiPartException: the part is no file.
        """
        super().on_headers_finished()
        if self._current_part.file is None:
            raise MultiPartException("An upload holds files, and nothing else.")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """As in gradio; what is not named as a video is held against the limit of pictures.

        Raises:
            MultiPartException: it is too large.
        """
        file = self._current_part.file
        limit = upload_limit(file.filename or "") if file else 0
        self._part_bytes += end - start
        if self._part_bytes > limit:
            if self.upload_progress is not None:
                self.upload_progress.set_done(self.upload_id or "")
            raise MultiPartException(f"File size exceeded maximum allowed size of {limit} bytes.")
        super().on_part_data(data, start, end)

    async def parse(self) -> FormData:
        """As in gradio.

        Raises:
            MultiPartException: it is no well-formed upload, or a file of it is too large.
        """
        try:
            form: FormData = await super().parse()
        except BaseException as error:
            for file in self._files_to_close_on_error:
                with suppress(OSError):  # closing writes what is still in memory
                    file.close()
                Path(file.name).unlink(missing_ok=True)
            self._stop_tracking()
            if isinstance(error, FormParserError):
                raise MultiPartException("This is no upload.") from error
            raise
        return form

    def _stop_tracking(self) -> None:
        """Forget the progress of a failed upload."""
        if self.upload_progress is not None:
            self.upload_progress._statuses.pop(str(self.upload_id), None)
            self.upload_progress._signals.pop(str(self.upload_id), None)


def upload_limit(name: str) -> int:
    """Size limit in bytes of an upload of this name. Its content is checked when it is decoded."""
    is_video = name.lower().endswith(VIDEO_SUFFIXES)
    return settings.MAX_VIDEO_BYTES if is_video else settings.MAX_FILE_BYTES
