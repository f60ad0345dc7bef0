"""Files that other programs read; `schemas/` describes them."""
