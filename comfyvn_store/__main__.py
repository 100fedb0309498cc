"""`python -m comfyvn_store`: the same as the `comfyvn-store` command."""

from comfyvn_store.cli.main import run

run()
