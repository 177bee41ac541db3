"""Shared by the training of both models: errors, files, devices, provenance, constants."""
