"""Video format detection from the first bytes; the file name is ignored.

FFmpeg knows hundreds of formats, among them play lists that open other files and URLs. It is given the format, one of
three, so that it cannot choose another.
"""

from __future__ import annotations

from facemotion.errors import EmptyFile, FacemotionError, NotAVideo, UnsupportedFormat, UnsupportedVideo
from facemotion.images import sniff as image_kinds

ACCEPTED = "MP4, MOV, WebM, Matroska (MKV) and AVI videos are read here"
HEAD_BYTES = 4096

_MOV_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # from the second on: of old files
_OTHER_VIDEOS = (
    (b"FLV\x01", "a Flash video"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media file"),
    (b"\x00\x00\x01\xba", "an MPEG programme stream"),
    (b"\x00\x00\x01\xb3", "a bare MPEG video stream"),
    (b".RMF", "a RealMedia file"),
    (b"OggS", "an Ogg file"),
)
_PLAY_LISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"<smil", b"[playlist]", b"[InternetShortcut]")


def sniff(head: bytes) -> str:
    """FFmpeg's name of the format: mov, matroska or avi.

    Args:
        head: the first `HEAD_BYTES` of the file, or all of it.

    Raises:
        EmptyFile: there are none.
        UnsupportedVideo: a video of another kind, which the message names.
        NotAVideo: anything else; the message says what it seems to be.
    """
    if not head:
        raise EmptyFile("This file is empty. Please choose the video again.")
    if head[4:8] in _MOV_BOXES:
        _refuse_picture(head)
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    _refuse_video(head)
    _refuse_picture(head)
    raise _not_a_video("no video that can be recognised")


def _refuse_video(head: bytes) -> None:
    found = next((kind for magic, kind in _OTHER_VIDEOS if head.startswith(magic)), None)
    if head[:1] == head[188:189] == head[376:377] == b"\x47":
        found = "an MPEG transport stream"
    if found is not None:
        raise UnsupportedVideo(f"This seems to be {found}, which is not read here. {ACCEPTED}; please convert it.")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_PLAY_LISTS):
        raise _not_a_video("a list of other files or addresses, and none of these is opened")


def _refuse_picture(head: bytes) -> None:
    """Raise an error that names what the file is, such as an image chosen in the wrong tab."""
    try:
        kind = image_kinds.sniff(head)
    except UnsupportedFormat as error:
        raise _not_a_video("a picture") from error
    except FacemotionError as error:
        if head[4:8] in _MOV_BOXES:
            return  # an MP4 or QuickTime video, as the images' decoder says too
        raise _not_a_video("text, a document or sound" if image_kinds._is_text(head) else "no video") from error
    raise _not_a_video(f"a {kind} picture; choose the Image tab for it")


def _not_a_video(kind: str) -> NotAVideo:
    return NotAVideo(f"This file is {kind}. {ACCEPTED}; please choose one of these.")
