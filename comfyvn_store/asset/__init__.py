"""What an asset is: sidecar, provenance record, marker, the reading of generators, and views in the work tree."""
