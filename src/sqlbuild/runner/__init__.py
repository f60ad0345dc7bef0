"""Phase 5: Plan -> RunResult."""
