"""The training kit: everything that makes, judges and publishes the models that `facemotion` runs."""

import sys

from training.moved_commands import MovedCommands

sys.meta_path.append(MovedCommands())
