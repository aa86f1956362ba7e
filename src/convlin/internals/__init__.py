"""What PyTorch keeps to itself and convlin cannot do without, each behind one file.

| file | what of PyTorch |
|---|---|
| `trees.py` | nested containers, flattened as PyTorch flattens them |
| `storages.py` | the identity and the life of a tensor's memory |
| `fakes.py` | tensors with shapes and no numbers |
| `dispatch.py` | modes, overrides and kernels: what really runs |
| `modules.py` | base classes, hooks on all modules, what a convolution noted of its padding |
| `parameter_views.py` | what is a parameter, and what was noted on one |
| `plain_tensors.py` | which tensors hold their numbers in strides, in which memory format |
| `onednn.py` | a product with a matrix that is faster than the one by default |
| `exporting.py` | programs that take no size for granted |

Every name was seen to work in the versions that its file names; a test keeps other rooms from
private names of PyTorch, and so a new version is read for here alone.
"""
