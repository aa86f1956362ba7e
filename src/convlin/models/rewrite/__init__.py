"""Every layer of a model that has an equal form, exchanged for it; checkpoints go on fitting.

| file | idea |
|---|---|
| `rewrite.py` | the call: which sites, in which order, and what comes back |
| `sites.py`, `selection.py` | the layers that may have an equal form, and which of them are meant |
| `identities.py` | which identity exchanges a site, or what stands against each |
| `swap.py` | the sites exchanged: their classes changed, or forms put in |
| `observed.py`, `on_the_stack.py` | one run: which layers are called, whose parameters others use |
| `code_reads.py`, `attribute_paths.py` | without a run: whose weights a module's own code uses |
| `against_original.py` | the model and its rewrite, both run |
| `report.py` | one row a site |
| `mapping.py`, `mapping_entry.py` | how a rewritten model's weights relate to the original's |
| `mapped_states.py`, `optimizer_states.py` | state dicts and optimizers, mapped |
| `lora_factors.py`, `moves.py` | the factors of adapters; where a tensor's elements go |
| `checkpoints.py`, `tensor_files.py`, `adapters.py` | files of weights and adapters, converted |
"""
