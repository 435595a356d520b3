"""The table of metrics, from the one file that names them."""

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

import k2stream.metrics  # noqa: F401 - registers the metrics
from k2stream.histogram import ColumnHistogram
from k2stream.rolling import RollingHistogram
from tests.unit.docs.generated.markdown import code, table


def table_rows() -> list[tuple[str, str, str, str]]:
    """Name as Prometheus has it, type, labels, meaning; in the order of the file."""
    rows: list[tuple[str, str, str, str]] = []
    for collector in list(REGISTRY._collector_to_names):
        match collector:
            case MetricWrapperBase():
                name, kind, help_ = collector._name, collector._type, collector._documentation
                labels = collector._labelnames
            case ColumnHistogram() | RollingHistogram():
                name, help_, labels = collector._name, collector._text, (collector._label,)
                kind = "histogram" if isinstance(collector, ColumnHistogram) else "gauge histogram"
            case _:
                continue
        if name.startswith("k2_") and kind:
            full = f"{name}_total" if kind == "counter" else name
            rows.append((code(full), kind, ", ".join(map(code, labels)), help_))
    return rows


def metrics_table() -> str:
    """The table."""
    return table(("metric", "type", "labels", "meaning"), table_rows())
