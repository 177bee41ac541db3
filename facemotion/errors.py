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

    def __init_subclass__(cls, code: str) -> None:
        cls.code = code

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InputError(FacemotionError, code="bad_input"):
    """The input cannot be analyzed."""


class MissingInput(InputError, code="missing"):
    """No input was given."""


class EmptyFile(InputError, code="empty"):
    """The file has zero bytes."""


class NotAnImage(InputError, code="not_an_image"):
    """The file is text, a PDF, a video or random bytes."""


class UnsupportedFormat(InputError, code="unsupported_format"):
    """The file is an image of an unsupported format."""


class CorruptImage(InputError, code="corrupt"):
    """The image is damaged or breaks off."""


class FileTooLarge(InputError, code="file_too_large"):
    """The file has more bytes than the limit."""


class TooManyPixels(InputError, code="too_many_pixels"):
    """The image has more pixels than the limit."""


class BadShape(InputError, code="bad_shape"):
    """The image is too small or too thin to hold a face."""


class BadArray(InputError, code="bad_array"):
    """The array has an unsupported shape, type or range."""


class ForbiddenSource(InputError, code="forbidden_source"):
    """The URL or path may not be opened."""


class BadOption(InputError, code="bad_option"):
    """An option, such as threshold or detail, is outside its range."""


class TooManyPictures(InputError, code="too_many_pictures"):
    """The batch has more photos than the limit."""


class NotAVideo(InputError, code="not_a_video"):
    """The file is text, an image, sound alone or random bytes."""


class UnsupportedVideo(InputError, code="unsupported_video"):
    """The video has an unsupported format, or is encrypted."""


class CorruptVideo(InputError, code="corrupt_video"):
    """The video is damaged, or has no frames."""


class VideoTooLong(InputError, code="video_too_long"):
    """The video has more seconds or frames than the limit."""


class WeightsError(FacemotionError, code="weights"):
    """A model cannot be loaded."""


class UnknownModel(WeightsError, code="unknown_model"):
    """No model has that name."""


class HubUnavailable(WeightsError, code="hub_unavailable"):
    """The Hub gave no answer, or not in time."""


class AccessDenied(WeightsError, code="access_denied"):
    """The repository is private, gated or absent; a token may be needed."""


class RevisionNotFound(WeightsError, code="not_found"):
    """The repository has no such revision or file."""


class ChecksumMismatch(WeightsError, code="checksum_mismatch"):
    """The file has another checksum than expected."""


class WeightsMismatch(WeightsError, code="weights_mismatch"):
    """Tensors, shapes or labels differ from the network's."""


class UnsafeWeights(WeightsError, code="unsafe_weights"):
    """The file is a pickle, where safetensors are expected."""


class StorageError(WeightsError, code="storage"):
    """The cache folder is full or cannot be written."""


class BatchError(FacemotionError, code="batch"):
    """A run over many pictures cannot start or go on."""


class MissingPackage(BatchError, code="missing_package"):
    """A package that this command needs is not installed."""


class OtherRun(BatchError, code="other_run"):
    """The destination holds the results of another run."""


class SourceGone(BatchError, code="source_gone"):
    """The folder or bucket of the pictures is not there any more."""


class DestinationError(BatchError, code="destination"):
    """Results cannot be written."""


class ModelFailure(FacemotionError, code="model_failed"):
    """A model raised, or memory ran out, on one request; the next may succeed."""


class TookTooLong(FacemotionError, code="too_slow"):
    """A request passed the limit in seconds and was stopped; with less to do the next may succeed."""
