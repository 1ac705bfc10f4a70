"""Pictures as data: what is to be seen, with frames and words, computed from an analysis. Nothing here draws."""
