"""One module for each thing a person asks for. They neither print nor read the command line; `cli` and `registry` call them."""
