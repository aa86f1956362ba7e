"""Every layer of a model that has an equal form, exchanged for it; checkpoints go on fitting.

| file | idea |
|---|---|
| `rewrite.py` | the call: which sites, in which order, and what comes back |
| `sites.py`, `selection.py` | the layers that may have an equal form, and which of them are meant |
| `identities.py` | which identity exchanges a site, or what stands against each |
| `calls_and_reads.py`, `on_the_stack.py` | one run: which layers are called, which are read |
| `code_reads.py`, `attribute_paths.py` | without a run: whose weights a module's own code uses |
| `layout_questions.py` | what of a weight is no use of it |
| `decisions.py` | what is to become of each site, and why; the proofs of it |
| `copies.py` | a model with modules of its own, that shares another's tensors |
| `swap.py` | the sites exchanged: their classes changed, or forms put in |
| `native_entries.py` | how the parameters of such forms relate to the layers' |
| `against_original.py` | the model and its rewrite, both run |
| `rewrite_report.py` | one row a site |
"""

from convlin.models.rewrite.rewrite import Rewritten, rewrite
from convlin.models.rewrite.rewrite_report import RewriteReport

__all__ = ["RewriteReport", "Rewritten", "rewrite"]
