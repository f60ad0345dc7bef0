"""The second phase: a project as read becomes a checked graph. Pure: no files, no clock, no warehouse."""
