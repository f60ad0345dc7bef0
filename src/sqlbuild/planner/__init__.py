"""Fourth phase: a selection of a graph and its past become a plan. Pure."""
