"""Files that were mutated until something gave way: what must hold for each, where they start, and what was found."""
