"""Analyses for people and programs: annotated images, tables, CSV and JSON."""
