"""The command line: the only rooms that write to stdout."""
