"""Several workers of each role: how many there are is changed, and each is replaced, while trades flow."""

import asyncio
from itertools import count

from k2stream.platform.platform import NICENESS, WORKERS
from tests.fault.platforms import GROUPS, LEAVE_SECONDS, Extra, members, recovered, until

JOIN_SECONDS = 120


class Fleet:
    """The platform's own workers, and others beside them; an async context manager that ends the others."""

    def __init__(self, platform):
        self.platform = platform
        self.extras = {role: [] for role in GROUPS}
        self._numbers = count()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        for extra in (each for extras in self.extras.values() for each in extras):
            await extra.child.stop(1)

    async def scale(self, workers, roles=tuple(GROUPS)):
        """So many workers of each role: they come together, and leave one by one."""
        for role in roles:
            extras = self.extras[role]
            joining = [await self._start(role) for _ in range(workers - 1 - len(extras))]
            extras += joining
            while len(extras) > workers - 1:
                await extras.pop().leave()
            await self.whole(role)

    async def roll(self):
        """Replace every worker, one by one: SIGTERM, and the next when the new one is ready; how many."""
        for spec in WORKERS:
            child = self.platform.workers[spec.name]
            assert await child.stop(LEAVE_SECONDS) == 0, child.exit_report()
            await self.platform._start_worker(spec)
            await self._ready(spec.role)
        for role, extras in self.extras.items():
            for number, extra in enumerate(extras):
                await extra.leave()
                extras[number] = await self._start(role)
                await self._ready(role)
        return len(WORKERS) + sum(map(len, self.extras.values()))

    async def _ready(self, role):
        await recovered(self.platform)
        if role in GROUPS:
            await self.whole(role)

    async def whole(self, role):
        """Wait until all workers of a role are ready, and members of its group."""

        async def joined():
            healthy = await asyncio.gather(*(extra.healthy() for extra in self.extras[role]))
            return all(healthy) and len(await members(self.platform, GROUPS[role])) == self.count(role)

        await until(joined, JOIN_SECONDS, f"{self.count(role)} workers of {role}", self.platform)
        await recovered(self.platform)

    def count(self, role):
        return 1 + len(self.extras[role])

    async def _start(self, role):
        return await Extra(
            self.platform, role, next(self._numbers), niceness=NICENESS.get(role, 0)
        ).__aenter__()
