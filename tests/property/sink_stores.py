"""Two destinations in memory: one that saves positions after its rows, one that commits both in one."""

from collections import Counter, deque

from k2stream.delivery.destination import DestinationUnavailable, WentBack
from k2stream.delivery.epochs import follows
from k2stream.delivery.progress import SinkPosition


class Died(BaseException):
    """The worker was killed at this instant."""


class Store:
    """Rows as (partition, offset), and positions; each call meets the next fate."""

    def __init__(self):
        self.fates = deque()
        self.rows = Counter()
        self.tokens = set()
        self.held = {}
        self.restored = 0

    def prepare(self, routes):
        """There is nothing to prepare."""

    def positions(self, route):
        return dict(self.held)

    def open(self, positions):
        self._call(
            lambda: self.held.update({at.partition: position for (_, at), position in positions.items()})
        )

    def write(self, route, batch):
        return self._call(lambda: self._write(batch))

    def save(self, moves):
        self._call(lambda: self._save(moves))

    def copy(self):
        return Counter(self.rows), dict(self.held), set(self.tokens)

    def restore(self, copy):
        """What was deleted by hand leaves the tokens; a backup has its own."""
        self.restored += 1
        self.rows, self.held = Counter(copy[0]), dict(copy[1])
        if self.held:
            self.tokens = set(copy[2])

    def close(self):
        pass

    def view(self):
        """Rows as a reader sees them."""
        return Counter(set(self.rows))

    def _call(self, action):
        fate = self.fates.popleft() if self.fates else "fine"
        if fate == "away":
            raise DestinationUnavailable(fate)
        if fate == "dies before":
            raise Died
        result = action()
        if fate == "answer lost":
            raise DestinationUnavailable(fate)
        if fate == "dies after":
            raise Died
        return result

    def _write(self, batch):
        if batch.token in self.tokens:
            return 0
        self.tokens.add(batch.token)
        return self._add(batch, {})

    def _add(self, batch, held):
        count = 0
        for piece in batch.pieces:
            partition = piece.partition.partition
            for offset in piece.rows["offset"].to_pylist():
                if partition not in held or offset > held[partition].offset:
                    self.rows[partition, offset] += 1
                    count += 1
        return count

    def _save(self, moves):
        back = {}
        for key, move in moves.items():
            found = self.held.get(key[1].partition)
            if found is None or found.epoch != move.position.epoch or found.offset < move.after:
                back[key] = found
            elif found.offset < move.position.offset:
                self.held[key[1].partition] = move.position
        if back:
            raise WentBack(back)


class Connection:
    """What a worker has of a store; the first call after the store came back as it was fails."""

    def __init__(self, store):
        self._store, self._restored = store, store.restored

    def __getattr__(self, name):
        def call(*given):
            if self._restored != self._store.restored:
                self._restored = self._store.restored
                raise DestinationUnavailable("the connection was closed")
            return getattr(self._store, name)(*given)

        return call


class AtomicStore(Store):
    """Rows and positions are one commit, and what the table holds is left out."""

    def open(self, positions):
        self._call(lambda: self._open(positions))

    def _open(self, positions):
        for (table, at), position in positions.items():
            found = self.held.get(at.partition, SinkPosition())
            if found.offset > position.offset:
                raise WentBack({(table, at): found})
            self.held[at.partition] = position

    def _write(self, batch):
        first = {piece.partition: piece for piece in reversed(batch.pieces)}
        for at, piece in first.items():
            found = self.held.get(at.partition)
            if not follows(piece.first, piece.epoch, found or SinkPosition()):
                raise WentBack({("table", at): found})
        added = self._add(batch, dict(self.held))
        for at, position in batch.positions.items():
            if position.offset > self.held.get(at.partition, SinkPosition()).offset:
                self.held[at.partition] = position
        return added

    def _save(self, moves):
        pass

    def view(self):
        return self.rows
