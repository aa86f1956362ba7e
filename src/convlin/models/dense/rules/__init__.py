"""The rules: one ATen operation, one rule, one line of why it is equal on every window.

| file | operations | what happens |
|---|---|---|
| `neighbourhoods.py` | convolutions, pools, padding | stay; dilated behind an adaptive pool |
| `pooling.py` | adaptive and global pools | a pool with stride 1, or folded into the Linear |
| `reductions.py` | mean, sum, amax … | the same, or within every cell |
| `reshapes.py` | view, permute, flatten, slices … | run on numbered elements, and gone |
| `linear.py`, `product_reads.py` | linear | a full-size kernel, or a 1×1 one |
| `computed_weights.py` | products by what forward computes | the same, computed at every call |
| `normalisation.py` | batch_norm … | per channel stays; over space breaks equality |
| `elementwise.py` | activations, dropout, softmax | stay, channels in front |
| `arithmetic.py`, `alignment.py` | add, mul, where … | stay, grids cut to the same cells |
| `joins.py` | concatenation, stacking, writes | channels of one map |
| `creation.py` | tensors made in forward | stay, in the images' dtype |
| `never.py` | attention, upsampling … | refused, and why |
| `outputs.py` | what the model returns | one cell per window |
| `all_rules.py` | all of them | a plain tuple |
"""
