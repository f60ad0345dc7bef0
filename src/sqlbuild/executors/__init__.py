"""Where `def` nodes run."""
