"""Several workers of each role: how many there are is changed, and each is replaced, while trades flow."""

import asyncio
from itertools import count

from k2stream.platform.platform import NICENESS, WORKERS
from tests.fault.platforms import GROUPS, LEAVE_SECONDS, Extra, members, recovered, until

JOIN_SECONDS = 180


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

    async def scale(self, workers):
        """So many workers of each role: they come together, and leave one by one."""
        await asyncio.gather(*(self._scale(role, workers - 1) for role in self.extras))
        await recovered(self.platform)

    async def _scale(self, role, wanted):
        extras = self.extras[role]
        while len(extras) < wanted:
            extras.append(await self._start(role))
        while len(extras) > wanted:
            await extras.pop().leave()
        await self._whole(role)

    async def roll(self):
        """Replace every worker, one by one: SIGTERM, and the next when the new one is ready; how many."""
        for spec in WORKERS:
            child = self.platform.workers[spec.name]
            assert await child.stop(LEAVE_SECONDS) == 0, child.exit_report()
            await self.platform._start_worker(spec)
            await recovered(self.platform)
            if spec.role in GROUPS:
                await self._whole(spec.role)
        for role, extras in self.extras.items():
            for number, extra in enumerate(extras):
                await extra.leave()
                extras[number] = await self._start(role)
                await self._whole(role)
        await recovered(self.platform)
        return len(WORKERS) + sum(map(len, self.extras.values()))

    async def _whole(self, role):
        """Wait until all workers of a role are ready, and members of its group."""
        workers = 1 + len(self.extras[role])

        async def joined():
            healthy = await asyncio.gather(*(extra.healthy() for extra in self.extras[role]))
            return all(healthy) and len(await members(self.platform, GROUPS[role])) == workers

        await until(joined, JOIN_SECONDS, f"{workers} workers of {role}")

    async def _start(self, role):
        number, niceness = next(self._numbers), NICENESS.get(role, 0)
        return await Extra(self.platform, role, number, niceness=niceness).__aenter__()
