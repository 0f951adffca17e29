"""Workflows as people write them: signatures, chains, groups and chords, what they are made of, how they are sent."""
