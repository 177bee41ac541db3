"""Each change to Gradio: what goes wrong without it is seen in Gradio as it is, and not with the change.

A test of Gradio as it is that fails after an upgrade says that Gradio has been mended: the change can go.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import facemotion

pytestmark = pytest.mark.slow

pytest.importorskip("mcp", reason="gradio's extra is not installed: pip install 'gradio[mcp]'")

ROOT = Path(facemotion.__file__).resolve().parent.parent

# What goes wrong (tests/support/gradio_harms) -> the file in webui/gradio_patches with the change that prevents it.
HARMS = {
    "sources_are_parsed_at_import": "fast_import",
    "stubs_are_written_beside_components": "type_stubs",
    "files_of_the_machine_are_opened": "public_blocks",
    "arguments_with_defaults_must_be_given": "public_blocks",
    "an_example_that_was_not_chosen_is_an_unknown_error": "public_blocks",
    "callers_get_the_text_of_unknown_errors": "public_blocks",
    "a_silent_camera_keeps_its_place": "public_blocks",
    "long_session_names_are_kept": "session_cleanup",
    "results_that_somebody_waits_for_are_dropped": "session_cleanup",
    "a_task_is_left_for_each_frame_of_a_stream": "session_cleanup",
    "the_state_of_callers_without_a_session_is_kept": "session_cleanup",
    "the_state_of_a_page_that_was_only_looked_at_is_kept": "session_cleanup",
    "the_queue_keeps_sessions_whose_results_were_fetched": "session_cleanup",
    "results_that_nobody_fetches_are_kept": "session_cleanup",
    "the_names_of_deleted_files_are_kept": "session_cleanup",
    "the_ids_of_cancelled_generators_are_kept": "session_cleanup",
    "the_ids_of_watched_uploads_are_kept": "session_cleanup",
    "every_request_is_remembered_for_statistics": "session_cleanup",
    "half_a_result_is_left_on_a_full_disk": "atomic_files",
    "half_an_image_is_left_on_a_full_disk": "atomic_files",
    "half_an_upload_is_left": "atomic_files",
    "the_progress_of_a_failed_upload_is_kept": "atomic_files",
    "an_upload_may_hold_other_things_than_files": "atomic_files",
    "an_upload_of_no_form_is_a_failure_of_the_server": "atomic_files",
    "photos_may_be_as_large_as_videos": "atomic_files",
    "functions_that_are_not_tools_can_be_called": "mcp_server",
    "tools_are_served_as_prompts_and_resources": "mcp_server",
    "each_waiting_caller_of_a_tool_holds_a_thread": "mcp_server",
    "tools_upload_files_of_the_machine": "mcp_server",
    "what_callers_of_tools_send_is_logged_by_mcp": "mcp_server",
    "what_callers_of_tools_send_is_logged_by_the_root_logger": "mcp_server",
    "a_port_that_was_named_is_replaced": "listening",
    "requests_to_the_own_server_go_to_a_proxy": "proxies",
}


@cache
def seen(gradio: str) -> dict[str, bool]:
    """Which harms Gradio does, "plain" or "patched"."""
    command = [sys.executable, "-m", "tests.support.gradio_harms", gradio]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert result.returncode == 0, result.stderr[-3000:]
    return dict(json.loads(result.stdout.splitlines()[-1]))


@pytest.mark.parametrize("harm", HARMS)
def test_gradio_as_it_is_does_harm(harm: str) -> None:
    patch = f"facemotion/webui/gradio_patches/{HARMS[harm]}.py"
    assert seen("plain")[harm], f"Gradio no longer does this: what prevents it in {patch} can be deleted"


@pytest.mark.parametrize("harm", HARMS)
def test_the_change_prevents_it(harm: str) -> None:
    assert not seen("patched")[harm]


def test_every_change_prevents_a_harm_that_is_shown() -> None:
    patches = {file.stem for file in (ROOT / "facemotion" / "webui" / "gradio_patches").glob("*.py")}
    assert set(HARMS.values()) == patches - {"__init__", "install"}
    assert seen("plain").keys() == HARMS.keys()
