"""What an asset is: sidecar, provenance record, marker, the readers of what files say, and views in the work tree."""
