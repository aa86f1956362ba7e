"""Every layer of a model that has an equal form, exchanged for it; checkpoints go on fitting.

| file | idea |
|---|---|
| `rewrite.py` | the call: which sites, in which order, and what comes back |
| `sites.py`, `selection.py` | the layers that may have an equal form, and which of them are meant |
| `identities.py` | which identity exchanges a site, or what stands against each |
| `decisions.py` | what is to become of each site, and why; the proofs of it |
| `copies.py` | a model with modules of its own, that shares another's tensors |
| `swap.py` | the sites exchanged: their classes changed, or forms put in |
| `observed.py`, `on_the_stack.py` | one run: which layers are called, whose parameters others use |
| `code_reads.py`, `attribute_paths.py` | without a run: whose weights a module's own code uses |
| `against_original.py` | the model and its rewrite, both run |
| `report.py` | one row a site |
| `permutes.py`, `captured.py` | the rewritten model as a graph, and the permutes counted in it |
| `relaid.py`, `relabelling.py`, `readers.py` | layouts changed only where somebody reads another |
| `native_entries.py` | the same of native forms |
| `mapping.py`, `mapping_entry.py` | how a rewritten model's weights relate to the original's |
| `mapped_states.py`, `optimizer_states.py` | state dicts and optimizers, mapped |
| `lora_factors.py`, `moves.py` | the factors of adapters; where a tensor's elements go |
| `checkpoints.py`, `tensor_files.py`, `adapters.py` | files of weights and adapters, converted |
"""

from convlin.models.rewrite.mapping import WeightMapping
from convlin.models.rewrite.report import RewriteReport
from convlin.models.rewrite.rewrite import Rewritten, rewrite

__all__ = ["RewriteReport", "Rewritten", "WeightMapping", "rewrite"]
