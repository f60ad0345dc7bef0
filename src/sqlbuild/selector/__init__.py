"""Third phase: selectors, a graph and its past become node ids. Pure."""
