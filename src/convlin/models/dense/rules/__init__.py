"""The rules, one family a file; importing a file enters its rules in the table of `registry`.

| file | layers | what happens |
|---|---|---|
| `neighbourhoods.py` | convolutions, pools, padding | stay; dilated behind an adaptive pool |
| `pooling.py` | adaptive and global pools, mean | a pool with stride 1, or folded into the Linear |
| `reshapes.py` | view, permute, flatten, slices … | run on numbered elements, and gone |
| `linear.py` | Linear | a full-size kernel, or a 1×1 one |
| `normalisation.py` | BatchNorm … | per channel stays; over space breaks equality |
| `elementwise.py` | activations, dropout, softmax | stay, channels in front |
| `joins.py` | arithmetic, concatenation | stay, grids cut to the same cells |
| `outputs.py` | what the model returns | one cell per window |
| `never.py` | attention, upsampling … | refused, and why |
"""
