"""comfyvn-store: a content-addressed store with provenance for generated and hand-made art, driven by git.

`from comfyvn_store import AssetRegistry` is the Python entry; it is loaded when first used, because git starts this
package for every commit that touches art.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["AssetRegistry", "__version__"]

if TYPE_CHECKING:
    from comfyvn_store.registry import AssetRegistry


def __getattr__(name: str) -> object:
    if name == "AssetRegistry":
        from comfyvn_store.registry import AssetRegistry

        return AssetRegistry
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
