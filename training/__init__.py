"""The training kit: everything that makes, judges and publishes the models that `facemotion` runs."""
