"""Figures of a classifier's run: charts, image grids, and the command that draws them all."""
