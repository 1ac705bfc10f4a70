"""Many captures: one answer for each recording and rule, kept as a dataset."""
