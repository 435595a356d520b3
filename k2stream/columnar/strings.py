"""Converts string columns to Arrow."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from k2stream.columnar.texts import Texts


def strings(texts: Texts) -> pa.Array:
    """Return an Arrow string array over the same bytes."""
    offsets = pa.py_buffer(texts.offsets.astype(np.int32))
    return pa.StringArray.from_buffers(len(texts), offsets, pa.py_buffer(texts.data))
