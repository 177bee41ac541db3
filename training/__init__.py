"""The training kit: trains, evaluates and publishes the models that `facemotion` runs."""

import sys

from facemotion import scratch
from training.moved_commands import MovedCommands

sys.meta_path.append(MovedCommands())

# Before PyTorch and matplotlib are imported: the first leaves a folder in the system's temporary folder, the other
# keeps a list of fonts and takes its settings from the home folder, so that figures would differ between machines.
scratch.use_for("MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR")
