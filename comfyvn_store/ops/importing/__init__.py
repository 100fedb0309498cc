"""`import`: files of other programs become assets, many at once, with what those programs and people said of them."""
