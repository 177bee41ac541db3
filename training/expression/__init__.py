"""The classifier of expressions: its data, training, evaluation, figures and export."""
