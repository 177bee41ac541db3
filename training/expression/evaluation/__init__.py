"""How good a classifier is: metrics, the test protocol, robustness, faces from photos, ablations."""
