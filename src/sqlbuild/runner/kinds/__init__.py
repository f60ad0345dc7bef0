"""How each kind of node does its work, one file a kind."""
