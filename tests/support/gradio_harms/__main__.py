"""What goes wrong with Gradio as it is, each shown in a few lines; run with or without our changes to it.

    python -m tests.support.gradio_harms plain|patched

prints a JSON, name of the harm -> whether it was seen. tests/web/page/test_gradio_patches.py wants all seen in the
plain run, or Gradio has been mended and the change can go, and none in the patched run.
"""

from __future__ import annotations

import json
import os
import shutil

from tests.support.gradio_harms.environment import (
    FOLDER,  # before all else: it imports gradio in the way that is asked for
)

from tests.support.gradio_harms.calls import HARMS  # isort: skip
from tests.support.gradio_harms.served import served  # isort: skip

harms = {name: shown() for name, shown in HARMS.items()} | served()
shutil.rmtree(FOLDER, ignore_errors=True)
print("\n" + json.dumps(harms), flush=True)
os._exit(0)
