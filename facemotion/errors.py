"""Everything that goes wrong on purpose.

    FacemotionError
    ├── InputError            what was given cannot be analysed
    │   ├── MissingInput          missing              nothing was given
    │   ├── EmptyFile             empty                zero bytes
    │   ├── NotAnImage            not_an_image         text, PDF, video, random bytes
    │   ├── UnsupportedFormat     unsupported_format   a picture, of a kind that is not read here
    │   ├── CorruptImage          corrupt              a picture that breaks off or is damaged
    │   ├── FileTooLarge          file_too_large       more bytes than the limit
    │   ├── TooManyPixels         too_many_pixels      more pixels than the limit
    │   ├── BadShape              bad_shape            too small or too thin to hold a face
    │   ├── BadArray              bad_array            an array whose meaning is not plain
    │   ├── ForbiddenSource       forbidden_source     a URL or path that is not opened for a visitor
    │   ├── BadOption             bad_option           a threshold, detail or the like outside its range
    │   ├── TooManyPictures       too_many_pictures    more pictures at once than the limit
    │   ├── NotAVideo             not_a_video          text, a picture, sound alone, random bytes
    │   ├── UnsupportedVideo      unsupported_video    a video, of a kind that is not read here; encrypted
    │   ├── CorruptVideo          corrupt_video        a video that is damaged, or has no frames
    │   └── VideoTooLong          video_too_long       more seconds or frames than the limit
    ├── WeightsError          a model cannot be had
    │   ├── UnknownModel          unknown_model        no model of that name
    │   ├── HubUnavailable        hub_unavailable      no answer, or not in time
    │   ├── AccessDenied          access_denied        private, gated or absent: a token may be needed
    │   ├── RevisionNotFound      not_found            the repository has no such revision or file
    │   ├── ChecksumMismatch      checksum_mismatch    the bytes are not those that were asked for
    │   ├── WeightsMismatch       weights_mismatch     tensors, shapes or labels are not the network's
    │   ├── UnsafeWeights         unsafe_weights       a pickle where safetensors belong
    │   └── StorageError          storage              the cache folder is full or cannot be written
    ├── BatchError            batch                a run over many pictures cannot start or go on
    │   ├── MissingPackage        missing_package      Ray is not installed
    │   ├── OtherRun              other_run            the destination holds results of other options or models
    │   ├── SourceGone            source_gone          the folder or bucket of the pictures is not there any more
    │   └── DestinationError      destination          the disk is full, or results cannot be written there
    ├── ModelFailure          model_failed         a model raised, or memory ran out, on one request
    └── TookTooLong           too_slow             a request passed the limit in seconds, and was stopped

Every error has a `code`, which stays the same from version to version, and a message for the person who sees it: what
was wrong, what is accepted, what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class FacemotionError(Exception):
    """The base of all errors that this package raises on purpose."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InputError(FacemotionError):
    """What was given cannot be analysed."""

    code = "bad_input"


class MissingInput(InputError):
    """Nothing was given."""

    code = "missing"


class EmptyFile(InputError):
    """A file of zero bytes."""

    code = "empty"


class NotAnImage(InputError):
    """Text, a PDF, a video, random bytes."""

    code = "not_an_image"


class UnsupportedFormat(InputError):
    """A picture, of a kind that is not read here."""

    code = "unsupported_format"


class CorruptImage(InputError):
    """A picture that breaks off or is damaged."""

    code = "corrupt"


class FileTooLarge(InputError):
    """More bytes than the limit."""

    code = "file_too_large"


class TooManyPixels(InputError):
    """More pixels than the limit."""

    code = "too_many_pixels"


class BadShape(InputError):
    """Too small or too thin to hold a face."""

    code = "bad_shape"


class BadArray(InputError):
    """An array whose meaning is not plain."""

    code = "bad_array"


class ForbiddenSource(InputError):
    """A URL or path that is not opened for a visitor."""

    code = "forbidden_source"


class BadOption(InputError):
    """A threshold, detail or the like outside its range."""

    code = "bad_option"


class TooManyPictures(InputError):
    """More pictures at once than the limit."""

    code = "too_many_pictures"


class NotAVideo(InputError):
    """Text, a picture, sound alone, random bytes."""

    code = "not_a_video"


class UnsupportedVideo(InputError):
    """A video, of a kind that is not read here, or encrypted."""

    code = "unsupported_video"


class CorruptVideo(InputError):
    """A video that is damaged, or has no frames."""

    code = "corrupt_video"


class VideoTooLong(InputError):
    """More seconds or frames than the limit."""

    code = "video_too_long"


class WeightsError(FacemotionError):
    """A model cannot be had."""

    code = "weights"


class UnknownModel(WeightsError):
    """No model of that name."""

    code = "unknown_model"


class HubUnavailable(WeightsError):
    """The Hub gave no answer, or not in time."""

    code = "hub_unavailable"


class AccessDenied(WeightsError):
    """The repository is private, gated or absent; a token may be needed."""

    code = "access_denied"


class RevisionNotFound(WeightsError):
    """The repository has no such revision or file."""

    code = "not_found"


class ChecksumMismatch(WeightsError):
    """The bytes are not those that were asked for."""

    code = "checksum_mismatch"


class WeightsMismatch(WeightsError):
    """Tensors, shapes or labels are not the network's."""

    code = "weights_mismatch"


class UnsafeWeights(WeightsError):
    """A pickle where safetensors belong."""

    code = "unsafe_weights"


class StorageError(WeightsError):
    """The cache folder is full or cannot be written."""

    code = "storage"


class BatchError(FacemotionError):
    """A run over many pictures cannot start or go on."""

    code = "batch"


class MissingPackage(BatchError):
    """A package that this command needs is not installed."""

    code = "missing_package"


class OtherRun(BatchError):
    """The destination holds the results of another run."""

    code = "other_run"


class SourceGone(BatchError):
    """The folder or bucket of the pictures is not there any more."""

    code = "source_gone"


class DestinationError(BatchError):
    """Results cannot be written."""

    code = "destination"


class ModelFailure(FacemotionError):
    """A model raised, or memory ran out, on one request; the next may succeed."""

    code = "model_failed"


class TookTooLong(FacemotionError):
    """A request passed the limit in seconds and was stopped; with less to do the next may succeed."""

    code = "too_slow"
