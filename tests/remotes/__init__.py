"""Tests of remotes: one conformance suite that every kind must pass, and what each kind has of its own."""
