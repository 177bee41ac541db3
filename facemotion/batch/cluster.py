"""Ray, started and asked: the only file that imports it.

Left to itself, Ray sends usage statistics to its makers, opens a dashboard, and listens on all of a machine's
addresses. What is started here does none of that: it is of this machine alone, on loopback, in a folder that is deleted
afterwards.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from facemotion.errors import BadOption, BatchError, MissingPackage

_NEEDED = ("ray", "pyarrow", "pandas")
_OBJECTS_BYTES = 100_000_000  # of shared memory: only numbers of parts and their records go through it
_MOST_BLOCKS = 10_000  # in which the numbers of parts are handed to Ray; each costs its scheduler some memory
_LONGEST_TEMP = 30  # characters: Ray adds 75 for its sockets, and Linux ends such a name at 107
_STARTS = 3
_WORKER_BYTES = 700_000_000  # of memory, at most
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container: bytes, or "max"
_FOLDER = "facemotion-ray-"
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # it warns of what Ray Data itself does
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}
# Ray replaces 127.0.0.1 by the address under which others reach the machine, and listens there, unless this is off.
# Its workers would give way to every other program of the machine: `nice` is the user's to say.
_ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_worker_niceness": "0"}


def check_installed() -> None:
    """Looks whether Ray is there, without importing it.

    Raises:
        MissingPackage: it is not.
    """
    missing = [name for name in _NEEDED if not _is_installed(name)]
    if missing:
        raise MissingPackage(
            f"facemotion batch needs {' and '.join(missing)}, not installed here. Install Ray Data: "
            "pip install -r requirements-batch.txt in this folder, or pip install '.[batch]'. Some thousand photos can "
            "be analysed without it: facemotion FOLDER --csv."
        )


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # its import was forbidden
        return False


@contextmanager
def started(address: str | None, processors: int) -> Iterator[ModuleType]:
    """Ray, connected to the cluster at `address`, or to one of this machine that ends with the block.

    A program that has connected to a cluster by itself keeps that one.

    Raises:
        BatchError: there is no cluster at that address, or Ray cannot start.
    """
    for name, value in (_QUIET | ({} if address else _ALONE)).items():
        os.environ.setdefault(name, value)
    import ray  # noqa: PLC0415

    if ray.is_initialized():
        yield ray
        return
    folder = None if address else _make_folder()
    try:
        with _sigterm_kept():
            _connect_patiently(ray, address, processors, folder)
        yield ray
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _connect_patiently(ray: Any, address: str | None, processors: int, folder: Path | None) -> None:
    """On a busy machine Ray may not start within the 30 seconds that it gives itself."""
    for _ in range(0 if address else _STARTS - 1):
        try:
            return _connect(ray, address, processors, folder)
        except BatchError:
            ray.shutdown()
    return _connect(ray, address, processors, folder)


def _connect(ray: Any, address: str | None, processors: int, folder: Path | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            assert folder is not None
            with _home(folder):
                ray.init(
                    address="local",
                    num_cpus=processors,
                    num_gpus=0,
                    include_dashboard=False,
                    object_store_memory=_OBJECTS_BYTES,
                    _node_ip_address="127.0.0.1",
                    _temp_dir=str(folder),
                    **quiet,
                )
    except Exception as error:  # of many kinds, bare Exception among them
        where = f"at {address}" if address else "on this machine"
        raise BatchError(f"Ray could not be reached or started {where}: {_first_line(error)}") from error


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Takes back the handling of SIGTERM, which Ray replaces, in C++ too, by its own that ends in an abort."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _home(folder: Path) -> Iterator[None]:
    """Gives the processes that Ray starts meanwhile a home folder with an empty description of the cluster.

    Without one, Ray 2.60 asks 169.254.169.254 and metadata.google.internal which cloud this is, also where its usage
    statistics, which that is for, are off. Our workers take the user's home folder back, by `Job.home`.
    """
    (folder / "ray_bootstrap_config.yaml").write_text("{}", "utf-8")
    before = os.environ.get("HOME")
    os.environ["HOME"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = before


def _make_folder() -> Path:
    """A new folder for Ray's sockets and logs, after those of processes that were killed have been deleted."""
    above = Path(tempfile.gettempdir())
    # The folder made within is private to the user.
    above = above if len(str(above)) <= _LONGEST_TEMP else Path("/tmp")  # nosec B108
    for old in above.glob(f"{_FOLDER}*"):
        process = old.name.removeprefix(_FOLDER).partition("-")[0]
        if process.isdigit() and not _is_running(int(process)):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-", dir=above))


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to somebody else
        return True
    return True


@dataclass(frozen=True, slots=True)
class Workers:
    """How many there are: `first` at the start, then from `fewest` to `most`, as machines come and go."""

    fewest: int
    first: int
    most: int


def workers(ray: Any, parts: int, wanted: int | None, threads: int) -> Workers:
    """How many workers to have on a cluster, which machines may join and leave.

    Args:
        ray: from `started`.
        parts: of which each worker takes one at a time.
        wanted: by the user; None takes as many as there are processors for.
        threads: processors for each.
    """
    most = min(wanted or parts, parts)
    fitting = int(ray.cluster_resources().get("CPU", 1)) // threads
    return Workers(1, min(max(1, fitting), most), most)


def check_memory(count: int, usual: int) -> None:
    """Refuses more workers than fit into this machine's memory; `usual` is how many there are without being named.

    Raises:
        BadOption: they do not fit.
    """
    limit = max(usual, _memory_bytes() // _WORKER_BYTES)
    if count > limit:
        raise BadOption(
            f"{count} workers take up to {count * _WORKER_BYTES / 1e9:.0f} GB of memory, which is not there. Name "
            f"{limit} or fewer; on photos of this machine, more than one a processor are no faster."
        )


def _memory_bytes() -> int:
    """What this machine has, or the container may take."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no container, or no limit
        total = min(total, int(_MEMORY_LIMIT.read_text("utf-8")))
    return total


def is_connected() -> bool:
    """Whether this program has connected to a cluster by itself."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def stream(worker: type, job: Any, numbers: Sequence[int], workers: Workers, threads: int) -> Iterator[str]:
    """The records of parts, as JSON, in the order in which they are finished; called inside `started`.

    Args:
        worker: the class whose instances, made with `job`, take batches of part numbers.
        numbers: of the parts to make.
        workers: how many of them.
        threads: processors for each.

    Raises:
        BatchError: Ray gave up.
    """
    import ray  # noqa: PLC0415
    import ray.data  # noqa: PLC0415

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1  # of large photos, a part takes longer than Ray's half an hour
    pool = ray.data.ActorPoolStrategy(
        min_size=workers.fewest, initial_size=workers.first, max_size=workers.most, max_tasks_in_flight_per_actor=2
    )
    try:
        with ray.data.DataContext.current(context):
            blocks = min(len(numbers), _MOST_BLOCKS)
            data = ray.data.from_items([{"item": number} for number in numbers], override_num_blocks=blocks)
            data = data.map_batches(
                worker,
                fn_constructor_args=(job,),
                batch_size=1,
                compute=pool,
                num_cpus=threads,
                runtime_env={"env_vars": _environment(threads)},
            )
            for row in data.iter_rows():
                yield row["record"]
    except ray.exceptions.RayError as error:
        raise BatchError(
            f"Ray gave up: {_first_line(error)}. What is finished is kept; go on with --resume."
        ) from error


def _environment(threads: int) -> dict[str, str]:
    """What all workers are to have in their environment: this process's settings, and threads that do not fight."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("FACEMOTION_")}
    count = str(threads)
    limits = {"FACEMOTION_MAX_THREADS": count, "OMP_NUM_THREADS": count, "OPENCV_FOR_THREADS_NUM": count}
    return settings | limits | {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300].rstrip(".")
