"""Putting the parts together: only this package knows them all."""
