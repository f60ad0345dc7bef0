"""The command line: options in, calls of app/ out, one file per command."""
