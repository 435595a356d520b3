"""The report of what was injected and checked."""

from tests.fault import report


def pytest_terminal_summary(terminalreporter):
    if report.entries:
        terminalreporter.section("faults: injected and checked")
        for line in report.lines():
            terminalreporter.write_line(line)
