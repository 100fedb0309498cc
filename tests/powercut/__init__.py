"""Disks whose power goes away: file systems in a file, and what would be on them at some moment."""
