"""Sinks for what happens in a run: lines for people, a live view for terminals, JSON for programs."""
