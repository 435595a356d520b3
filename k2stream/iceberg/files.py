"""Files of an object store whose certificate is signed by a CA of its own."""

from __future__ import annotations

from typing import Any

from pyiceberg.io.pyarrow import PyArrowFileIO

from k2stream.settings.stores import S3_CA_FILE


class TrustingFiles(PyArrowFileIO):
    """pyiceberg's files on Arrow, which trust the CA that a property of the catalog names."""

    def _initialize_s3_fs(self, netloc: str | None) -> Any:
        """As pyiceberg's, with the CA, for which it has no property."""
        rebuild, (arguments,) = super()._initialize_s3_fs(netloc).__reduce__()
        return rebuild({**arguments, "tls_ca_file_path": self.properties[S3_CA_FILE]})
