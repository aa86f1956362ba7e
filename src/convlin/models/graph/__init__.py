"""A model's graph, read off its own code as it runs, and what every editor of graphs shares.

| file | |
|---|---|
| `traced.py` | `trace`: two runs of the model's code without numbers, made one graph of values |
| `recorder.py` | one run, written down: operations, layers, lines of code |
| `aliases.py` | writes become values: who shares memory with whom |
| `two_runs.py`, `varying.py` | two runs side by side, and what stands for both |
| `function_of_images.py` | what a model must be |
| `known_numbers.py` | numbers of what is made of the model's own tensors |
| `fake_model.py` | the model around other tensors |
| `per_dimension.py` | arguments that are one number for all dimensions, or one for each |
| `operations.py` | what PyTorch's list of operations says of one |
| `rule.py` | a rule, and the table of them |
| `walk.py` | every node answered by its rule |
| `call.py` | what a rule is handed: one operation |
| `facts.py`, `value.py` | what is known so far |
| `writer.py` | the network being written |
"""
