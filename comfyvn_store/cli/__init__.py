"""The commands: each parses its words, calls one use case, and prints. Nothing below this floor prints."""
