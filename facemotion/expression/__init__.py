"""Faces to expressions: crops, the classifier and its network, the quality of a crop, what a label rests on."""
