"""Output of analyses: annotated images, tables, CSV and JSON."""
