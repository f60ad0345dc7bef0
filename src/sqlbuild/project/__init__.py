"""Phase 1: files become a `Project`. Nothing is resolved here; what is wrong becomes a problem with its place."""
