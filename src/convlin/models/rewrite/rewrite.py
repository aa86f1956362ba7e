"""`rewrite`: every layer of a model that has an equal form, exchanged for it."""

from __future__ import annotations

import copy as copying
import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import fx, nn

from convlin.arguments import choice, flag, shown
from convlin.errors import Description, Refusal, Refused, one_line
from convlin.layers.reclassed.reclassed import Reclassed
from convlin.layers.stock_layer import require_module
from convlin.models.claims import Claim, verdicts
from convlin.models.rewrite.against_original import Example, against_original, undisturbed
from convlin.models.rewrite.code_reads import code_reads
from convlin.models.rewrite.mapping import WeightMapping
from convlin.models.rewrite.observed import Seen, observed
from convlin.models.rewrite.permutes import cancelled
from convlin.models.rewrite.report import RewriteReport, RewriteRow
from convlin.models.rewrite.selection import Selection, selected
from convlin.models.rewrite.sites import Target, sites_of
from convlin.models.rewrite.swap import Exchanged, Keys, swap
from convlin.models.trace import tensors_in
from convlin.proof.twins import named_tensors

__all__ = ["Rewritten", "rewrite"]
