"""Binary codes: packing them into bytes, and searching them by Hamming distance."""

import numpy as np
from numpy.typing import NDArray

from trsllava.errors import InputError


def packed(codes: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return codes as bytes, eight bits in each, the first bit the highest.

    Parameters
    ----------
    codes
        (n, bits); above 0 a bit is set.

    Returns
    -------
    NDArray[np.uint8]
        (n, bits / 8).

    Raises
    ------
    InputError
        If the bits do not fill bytes.
    """
    if codes.shape[1] % 8:
        raise InputError(f"codes of {codes.shape[1]} bits do not fill bytes; take 16, 32, 64, ...")
    return np.packbits(codes > 0, axis=1)


def search(
    database: NDArray[np.uint8], queries: NDArray[np.uint8], count: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the nearest codes by brute force (faiss `IndexBinaryFlat`).

    Parameters
    ----------
    database
        Packed codes (n, bytes).
    queries
        Packed codes (q, bytes).
    count
        How many to return, at most ``n``.

    Returns
    -------
    tuple[NDArray[np.int32], NDArray[np.int64]]
        Distances (q, count), growing along a row, and places in the database. Which of several
        codes at the same distance come first is faiss's to say.
    """
    import faiss

    index = faiss.IndexBinaryFlat(8 * database.shape[1])
    index.add(np.ascontiguousarray(database))
    distances, places = index.search(np.ascontiguousarray(queries), min(count, len(database)))
    return distances, places
