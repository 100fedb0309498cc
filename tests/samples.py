"""The sample pictures and sounds that are no part of this repository, and the marker of tests with them."""

from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "shared" / "samples"

needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="the sample pictures and sounds are not beside this checkout"
)
