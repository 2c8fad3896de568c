"""The queue: bounded, and fair to clients."""

import asyncio
import threading

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")

from boneage_roi.service.pool import Pool
from boneage_roi.service.problems import Problem


def test_one_hand_does_not_wait_behind_a_batch() -> None:
    order: list[str] = []
    gate = threading.Event()
    pool = Pool(1, queue=40, seconds=20)

    def job(name: str) -> None:
        gate.wait(10)
        order.append(name)

    async def scene() -> None:
        batch = [asyncio.create_task(pool.run("batch", lambda n=n: job(f"batch {n}"))) for n in range(10)]  # type: ignore[misc]
        await asyncio.sleep(0.1)
        single = asyncio.create_task(pool.run("single", lambda: job("single")))
        await asyncio.sleep(0.1)
        gate.set()
        await asyncio.gather(*batch, single)

    asyncio.run(scene())
    assert order.index("single") <= 2
    assert [name for name in order if name != "single"] == [f"batch {n}" for n in range(10)]


def test_a_full_queue_says_when_to_come_again_and_leaves_room_for_others() -> None:
    gate = threading.Event()
    pool = Pool(1, queue=4, seconds=20)

    async def scene() -> None:
        first = asyncio.create_task(pool.run("a", lambda: gate.wait(10)))
        await asyncio.sleep(0.1)
        waiting = [asyncio.create_task(pool.run("a", lambda: None)) for _ in range(2)]
        await asyncio.sleep(0.1)
        with pytest.raises(Problem) as one_client:
            await pool.run("a", lambda: None)
        waiting += [asyncio.create_task(pool.run("b", lambda: None)) for _ in range(2)]
        await asyncio.sleep(0.1)
        with pytest.raises(Problem) as everyone:
            await pool.run("c", lambda: None)
        for refused in (one_client, everyone):
            assert refused.value.status == 429
            assert int(refused.value.headers["Retry-After"]) > 0
        gate.set()
        await asyncio.gather(first, *waiting)

    asyncio.run(scene())
    assert pool.waiting == 0


def test_a_job_that_takes_too_long_is_given_up_and_one_that_waits_is_never_begun() -> None:
    gate = threading.Event()
    begun: list[int] = []
    pool = Pool(1, queue=4, seconds=0.3)

    async def scene() -> None:
        slow = asyncio.create_task(pool.run("a", lambda: gate.wait(10)))
        await asyncio.sleep(0.05)
        with pytest.raises(Problem) as late:
            await pool.run("b", lambda: begun.append(1))
        assert late.value.status == 503
        with pytest.raises(Problem):
            await slow

    asyncio.run(scene())
    gate.set()
    pool.close()
    assert begun == []


def test_an_error_of_a_job_reaches_who_asked() -> None:
    pool = Pool(1, queue=4, seconds=5)

    def broken() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        asyncio.run(pool.run("a", broken))
    assert asyncio.run(pool.run("a", lambda: 3)) == 3
