"""The error types of this package.

    FacemotionError
    ├── InputError            what was given cannot be analyzed
    │   ├── MissingInput          missing              nothing was given
    │   ├── EmptyFile             empty                zero bytes
    │   ├── NotAnImage            not_an_image         text, PDF, video, random bytes
    │   ├── UnsupportedFormat     unsupported_format   an image, of a kind that is not read here
    │   ├── CorruptImage          corrupt              an image that breaks off or is damaged
    │   ├── FileTooLarge          file_too_large       more bytes than the limit
    │   ├── TooManyPixels         too_many_pixels      more pixels than the limit
    │   ├── BadShape              bad_shape            too small or too thin to hold a face
    │   ├── BadArray              bad_array            an array whose meaning is not plain
    │   ├── ForbiddenSource       forbidden_source     a URL or path that is not opened for a visitor
    │   ├── BadOption             bad_option           a threshold, detail or the like outside its range
    │   ├── TooManyPictures       too_many_pictures    more images at once than the limit
    │   ├── NotAVideo             not_a_video          text, an image, sound alone, random bytes
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

Every error has a `code`, which is stable across versions, and a message for the user: what was wrong, what is accepted,
what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class FacemotionError(Exception):
    """Base class of all errors that this package raises on purpose."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InputError(FacemotionError):
    """The input cannot be analyzed."""

    code = "bad_input"


class MissingInput(InputError):
    """No input was given."""

    code = "missing"


class EmptyFile(InputError):
    """The file has zero bytes."""

    code = "empty"


class NotAnImage(InputError):
    """The file is text, a PDF, a video or random bytes."""

    code = "not_an_image"


class UnsupportedFormat(InputError):
    """The file is an image of an unsupported format."""

    code = "unsupported_format"


class CorruptImage(InputError):
    """The image is damaged or breaks off."""

    code = "corrupt"


class FileTooLarge(InputError):
    """The file has more bytes than the limit."""

    code = "file_too_large"


class TooManyPixels(InputError):
    """The image has more pixels than the limit."""

    code = "too_many_pixels"


class BadShape(InputError):
    """The image is too small or too thin to hold a face."""

    code = "bad_shape"


class BadArray(InputError):
    """The array has an unsupported shape, type or range."""

    code = "bad_array"


class ForbiddenSource(InputError):
    """The URL or path may not be opened."""

    code = "forbidden_source"


class BadOption(InputError):
    """An option, such as threshold or detail, is outside its range."""

    code = "bad_option"


class TooManyPictures(InputError):
    """The batch has more photos than the limit."""

    code = "too_many_pictures"


class NotAVideo(InputError):
    """The file is text, an image, sound alone or random bytes."""

    code = "not_a_video"


class UnsupportedVideo(InputError):
    """The video has an unsupported format, or is encrypted."""

    code = "unsupported_video"


class CorruptVideo(InputError):
    """The video is damaged, or has no frames."""

    code = "corrupt_video"


class VideoTooLong(InputError):
    """The video has more seconds or frames than the limit."""

    code = "video_too_long"


class WeightsError(FacemotionError):
    """A model cannot be loaded."""

    code = "weights"


class UnknownModel(WeightsError):
    """No model has that name."""

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
    """The file has another checksum than expected."""

    code = "checksum_mismatch"


class WeightsMismatch(WeightsError):
    """Tensors, shapes or labels differ from the network's."""

    code = "weights_mismatch"


class UnsafeWeights(WeightsError):
    """The file is a pickle, where safetensors are expected."""

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
