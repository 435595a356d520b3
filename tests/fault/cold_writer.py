"""A writer of the cold tier in a process of its own: `cold_writer SEED COUNT` writes offsets 0 to COUNT - 1.

It cuts them into commits of its own, with pauses of its own, so that several overtake one another.
"""

import random
import sys
import time

from k2stream import settings
from k2stream.delivery.sink import DestinationUnavailable
from k2stream.iceberg import tables
from k2stream.iceberg.destination import Iceberg
from tests.integration.sink_samples import batch, piece, trade

SILVER = tables.TABLES["cold.silver_trades"].route


def main(seed, count):
    moments = random.Random(seed)
    store = Iceberg(settings.current().iceberg)
    store.prepare([SILVER])
    first = added = commits = overtaken = 0
    while first < count:
        last = min(first + moments.randint(50, 250), count)
        sent = batch(piece(SILVER, [trade(offset) for offset in range(first, last)], first=first))
        try:
            new = store.write(SILVER, sent)
        except DestinationUnavailable:
            overtaken += 1
            continue
        commits += new > 0
        added += new
        first = last
        time.sleep(moments.uniform(0, 0.02))
    print(added, commits, overtaken)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
