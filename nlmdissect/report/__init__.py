"""The same findings, in several voices."""
