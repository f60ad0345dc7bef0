"""Nouns: frozen records without I/O, known to every phase."""
