"""Captures out: the frames of a finding with what makes them readable, comments that say what they prove, and other
names.
"""
