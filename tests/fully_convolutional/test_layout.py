"""Where elements lie after reshapes, against numpy's own views of the numbered map."""

import numpy as np
import pytest
import torch

from convlin.models.dense.layout import (
    arrangement,
    elements,
    pooled_channels,
)

MAP = np.arange(4 * 3 * 5).reshape(4, 3, 5)
# name: (view of the map, channels, cells, roles); None where it is no map any more
VIEWS = {
    "whole": (MAP, (0, 1, 2, 3), ((0, 3, 1), (0, 5, 1)), (0, 1, 2)),
    "permuted": (MAP.transpose(2, 0, 1), (0, 1, 2, 3), ((0, 3, 1), (0, 5, 1)), (2, 0, 1)),
    "cut": (MAP[:, 1:, :-2], (0, 1, 2, 3), ((1, 2, 1), (0, 3, 1)), (0, 1, 2)),
    "thinned": (MAP[1:3, :, 1::2], (1, 2), ((0, 3, 1), (1, 2, 2)), (0, 1, 2)),
    "shuffled": (MAP[[0, 2, 1, 3]], (0, 2, 1, 3), ((0, 3, 1), (0, 5, 1)), (0, 1, 2)),
    "one-row": (MAP[:, 1], (0, 1, 2, 3), ((1, 1, 1), (0, 5, 1)), (0, 2)),
    "one-channel": (MAP[2], (2,), ((0, 3, 1), (0, 5, 1)), (1, 2)),
    "unsqueezed": (
        MAP[:, None, :, :, None],
        (0, 1, 2, 3),
        ((0, 3, 1), (0, 5, 1)),
        (0, None, 1, 2, None),
    ),
    "one-cell": (MAP[:, 2, 4], (0, 1, 2, 3), ((2, 1, 1), (4, 1, 1)), (0,)),
    "flattened": (MAP.reshape(-1), None, None, None),
    "flattened-space": (MAP.reshape(4, -1), None, None, None),
    "flipped": (MAP[:, ::-1], None, None, None),
    "diagonal": (MAP[:, [0, 1, 2], [0, 1, 2]], None, None, None),
    "grouped": (MAP.reshape(2, 2, 3, 5), None, None, None),
}


@pytest.mark.parametrize("name", VIEWS)
def test_an_arrangement_is_read_off_the_numbers(name):
    view, channels, cells, roles = VIEWS[name]
    found = arrangement(torch.from_numpy(view.copy()), (4, 3, 5))
    if roles is None:
        assert found is None
    else:
        assert (found.channels, found.cells, found.roles) == (channels, cells, roles)
        whole = np.array_equal(np.sort(view.ravel()), MAP.ravel()) and name != "shuffled"
        assert found.is_all_of((4, 3, 5)) is whole


@pytest.mark.parametrize("roles", [(0, 1, 2), (1, 2, 0), (2, None, 0, 1), (None, 1, 0, 2)])
def test_numbers_made_from_roles_have_these_roles(roles):
    numbers = elements((4, 3, 5), roles)
    present = [role for role in roles if role is not None]
    assert np.array_equal(numbers.squeeze().numpy(), MAP.transpose(present))
    assert arrangement(numbers, (4, 3, 5)).roles == roles


def test_a_reduction_over_all_cells_of_each_channel_is_recognised():
    space = torch.from_numpy(MAP.reshape(4, -1).copy())
    assert pooled_channels(space, 1, (4, 3, 5)).tolist() == [0, 1, 2, 3]
    assert pooled_channels(space.T, 0, (4, 3, 5)).tolist() == [0, 1, 2, 3]
    assert pooled_channels(space[:, :-1], 1, (4, 3, 5)) is None
    assert pooled_channels(space, 0, (4, 3, 5)) is None
    assert pooled_channels(space[:, [0, *range(14)]], 1, (4, 3, 5)) is None
