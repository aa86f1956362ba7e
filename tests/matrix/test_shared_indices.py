"""Matrices of one geometry share their index arrays: SciPy reads them, and nothing may write to them."""

import pickle

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import expm, norm, spilu, splu, spsolve

from convlin import ConvGeometry, ConvMatrix, unroll
from geometry_strategies import conv, integers, probe
from rounding import STABLE, agree


def square():
    layer = conv(2, 2, 2, (3, 2), padding="same", bias=False)
    layer.weight.data[0, 0, 1, 0] = layer.weight.data[1, 1, 1, 0] = 99  # each pixel itself
    layer.weight.data[0, 1, 0, 1] = 0
    return unroll(layer, (4, 5)), probe(layer, (4, 5)).numpy()


READING = {
    "product": lambda m: m @ np.eye(40),
    "transpose": lambda m: m.T.toarray().T,
    "rows": lambda m: sparse.vstack([m[:7], m[7:]]).toarray(),
    "columns": lambda m: m[:, np.arange(40)].toarray(),
    "sum": lambda m: (m + m).toarray() / 2,
    "csc": lambda m: m.tocsc().toarray(),
    "coo": lambda m: m.tocoo().toarray(),
    "bsr": lambda m: m.tobsr((2, 4)).toarray(),
    "csr_matrix": lambda m: sparse.csr_matrix(m).toarray(),
    "pickle": lambda m: pickle.loads(pickle.dumps(m)).toarray(),
    "astype": lambda m: m.astype(np.float32).toarray(),
    "sum_duplicates": lambda m: (m.sum_duplicates(), m.toarray())[1],
    "sort_indices": lambda m: (m.sort_indices(), m.toarray())[1],
    "prune": lambda m: (m.prune(), m.toarray())[1],
}


@pytest.mark.parametrize("case", READING)
def test_what_scipy_does_with_a_matrix_works_on_this_one(case):
    A, dense = square()
    assert np.array_equal(READING[case](A.tocsr()), dense)


SOLVING = {
    "spsolve": lambda m, b: m @ spsolve(m, b),
    "splu": lambda m, b: m @ splu(m.tocsc()).solve(b),
    "spilu": lambda m, b: m @ spilu(m.tocsc(), drop_tol=0).solve(b),
    "expm": lambda m, b: expm(m / 999) @ expm(-m / 999) @ b,
    "norm": lambda m, b: norm(m) / np.linalg.norm(m.toarray()) * b,
    "csgraph": lambda m, b: csgraph.structural_rank(m) / 40 * b,
    "components": lambda m, b: csgraph.connected_components(m)[0] * b,
}


@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")  # expm's own
@pytest.mark.parametrize("case", SOLVING)
def test_scipys_solvers_take_it(case):
    A, dense = square()
    b = integers(40, seed=1).numpy()
    condition = np.linalg.cond(dense)  # below 3: 99 on the diagonal
    assert agree(SOLVING[case](A.tocsr(), b), b, STABLE * 40, condition * np.linalg.norm(b))


def test_a_file_and_back(tmp_path):
    A, dense = square()
    sparse.save_npz(tmp_path / "a.npz", A.tocsr())
    again = sparse.load_npz(tmp_path / "a.npz")
    assert again.nnz == A.nnz and np.array_equal(again.toarray(), dense)


WRITING = {
    "indices": lambda m: m.indices.__setitem__(0, 3),
    "indptr": lambda m: m.indptr.__iadd__(1),
    "eliminate_zeros": lambda m: m.eliminate_zeros(),
    "resize": lambda m: m.resize(30, 30),
    "setdiag": lambda m: m.setdiag(7.0),
    "a-new-entry": lambda m: m.__setitem__((0, 39), 7.0),
    "an-entry": lambda m: m.__setitem__((0, 0), 7.0),
    "in-place-product": lambda m: m.__imul__(7),
    "data": lambda m: m.data.fill(7),
}


@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")  # a new entry
@pytest.mark.parametrize("case", WRITING)
def test_writing_to_one_matrix_leaves_its_siblings_alone(case):
    A, dense = square()
    other = A.with_kernel(A.weight * 2)
    first, sibling = A.tocsr(), other.tocsr()
    try:
        WRITING[case](first)
    except ValueError as error:  # what would change shared arrays is not done at all
        assert "read-only" in str(error)
        assert case in ("indices", "indptr", "eliminate_zeros", "resize")
    assert np.array_equal(sibling.toarray(), 2 * dense)
    assert np.array_equal(A.tocsr().toarray(), dense)


def test_a_copy_may_be_written_to():
    A, dense = square()
    own = A.tocsr().copy()
    own.eliminate_zeros()
    assert own.nnz < A.nnz and np.array_equal(own.toarray(), dense)
    assert A.tocsr().nnz == A.nnz


def test_the_kernel_is_left_alone():
    kernel = integers(3, 2, 2)
    A = ConvMatrix(ConvGeometry(2, 3, kernel=(2,)), kernel, (5,))
    before = kernel.clone()
    A.tocsr().data[:] = 77
    A.tocoo().data[:] = 77
    A.toarray()[:] = 77
    A.to_torch().values().fill_(77)
    A.to_torch("sparse_coo")._values().fill_(77)
    assert torch.equal(kernel, before)
