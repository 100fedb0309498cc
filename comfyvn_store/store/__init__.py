"""The store: objects by SHA-256, and nothing of git. It is given its place and settings; it reads none itself."""
