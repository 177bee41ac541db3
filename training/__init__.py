"""The training kit: everything that makes, judges and publishes the models that `facemotion` runs."""

from facemotion import scratch

# Before PyTorch and matplotlib are imported: one leaves a folder in the system's temporary one, the other keeps a list
# of fonts, and takes its settings from the home folder, so that figures would differ from machine to machine.
scratch.use_for("MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR")
