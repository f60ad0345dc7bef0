"""Where results are kept: in the journal while a run lasts, in the warehouse for good, and in target/ for reading."""
