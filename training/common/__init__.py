"""What both models' training shares: errors, files, devices, provenance, constants."""
