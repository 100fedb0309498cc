"""Nodes of ComfyUI and its packs that hand a value on: which of their inputs comes out, and what becomes of it.

Owns these tables. A node that is in none of them may compute what it gives, so nothing is believed of it.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

# Nodes that give at their first output what stands in one of their inputs.
CARRIERS: Mapping[str, str] = {
    "BOOLConstant": "value",
    "CR Prompt Text": "prompt",
    "CR Seed": "seed",
    "CR Text": "text",
    "Float Literal": "float",
    "FloatConstant": "value",
    "INTConstant": "value",
    "ImpactBoolean": "value",
    "ImpactFloat": "value",
    "ImpactInt": "value",
    "ImpactWildcardProcessor": "populated_text",
    "Int Literal": "int",
    "Primitive boolean [Crystools]": "boolean",
    "Primitive float [Crystools]": "float",
    "Primitive integer [Crystools]": "int",
    "Primitive string [Crystools]": "string",
    "Primitive string multiline [Crystools]": "string",
    "PrimitiveBoolean": "value",
    "PrimitiveFloat": "value",
    "PrimitiveInt": "value",
    "PrimitiveString": "value",
    "PrimitiveStringMultiline": "value",
    "Seed (rgthree)": "seed",
    "Seed Everywhere": "seed",
    "ShowText|pysssss": "text",
    "String Literal": "string",
    "StringConstant": "string",
    "StringConstantMultiline": "string",
    "Text Multiline": "text",
    "easy boolean": "value",
    "easy float": "value",
    "easy int": "value",
    "easy negative": "negative",
    "easy positive": "positive",
    "easy seed": "seed",
    "easy string": "value",
    "ttN float": "float",
    "ttN int": "int",
    "ttN seed": "seed",
    "ttN text": "text",
}

# Nodes that give one of several inputs: what chooses, and the names of what is chosen from: by the number that is
# chosen, or for yes and no.
SWITCHES: Mapping[str, tuple[str, str]] = {
    "CR Conditioning Input Switch": ("Input", "conditioning{}"),
    "CR Image Input Switch": ("Input", "image{}"),
    "CR Image Input Switch (4 way)": ("Input", "image{}"),
    "CR Latent Input Switch": ("Input", "latent{}"),
    "CR Model Input Switch": ("Input", "model{}"),
    "CR Text Input Switch": ("Input", "text{}"),
    "CR Text Input Switch (4 way)": ("Input", "text{}"),
    "ComfySwitchNode": ("switch", "on_true|on_false"),
    "Conditioning Input Switch": ("boolean boolean_number", "conditioning_a|conditioning_b"),
    "Image Input Switch": ("boolean boolean_number", "image_a|image_b"),
    "ImpactConditionalBranch": ("cond", "tt_value|ff_value"),
    "ImpactSwitch": ("select", "input{}"),
    "Latent Input Switch": ("boolean boolean_number", "latent_a|latent_b"),
    "LatentSwitch": ("select", "input{}"),
    "LazySwitchKJ": ("switch", "on_true|on_false"),
    "Model Input Switch": ("boolean boolean_number", "model_a|model_b"),
    "Text Input Switch": ("boolean boolean_number", "text_a|text_b"),
    "easy anythingIndexSwitch": ("index", "value{}"),
    "easy conditioningIndexSwitch": ("index", "cond{}"),
    "easy imageIndexSwitch": ("index", "image{}"),
    "easy textIndexSwitch": ("index", "text{}"),
}


def chosen(kind: str, select: Any) -> str | None:
    """Gives the name of the input that a switch gives for what its choosing input holds; None if that is unclear."""
    form = SWITCHES[kind][1]
    if type(select) not in (bool, int):
        return None
    if "|" in form:
        yes, no = form.split("|")
        return {1: yes, 0: no}.get(int(select))
    return form.format(select) if type(select) is int else None


def changes(kind: str) -> bool:
    """Whether a carrier may make something else of the text that it hands on."""
    return kind in _CHANGES


def changed(kind: str, inputs: Mapping[str, Any], value: Any) -> Any:
    """Gives what a carrier makes of the value that it hands on; None if that is not certain."""
    change = _CHANGES.get(kind)
    return change(inputs, value) if change is not None and isinstance(value, str) else value


def _without_comments(_: Mapping[str, Any], text: str) -> str | None:
    """WAS Text Multiline leaves out lines that begin with `#`, and puts times and the like in for `[tokens]`."""
    if re.search(r"\[[^\]]", text):
        return None
    lines = text.removesuffix("\n").split("\n")
    return "\n".join(line for line in lines if not line.strip().startswith("#"))


def _in_one_line(inputs: Mapping[str, Any], text: str) -> str | None:
    """KJNodes' constant, whose versions treat line feeds differently: they join, keep or double them."""
    is_kept = "\n" not in text and (inputs.get("strip_newlines") is False or text == text.strip())
    return text if is_kept else None


_CHANGES: Mapping[str, Callable[[Mapping[str, Any], str], str | None]] = {
    "StringConstantMultiline": _in_one_line,
    "Text Multiline": _without_comments,
}
