"""How media formats are laid out: segments, chunks, tags, pages, blocks and what texts stand in them.

Standard library only. Every module works on a seekable binary stream, reads by small pieces, keeps no more than a bound
says, and never raises on bad bytes (only what the stream itself raises): what makes no sense ends the walk.
"""
