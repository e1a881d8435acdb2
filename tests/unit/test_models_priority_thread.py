"""One thread for one model: joined questions first, bulk steps behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import pytest

from winnow.core.errors import UpstreamUnavailable
from winnow.models.local.priority_thread import MAX_JOINED, PriorityThread


class Model:
    """Doubles numbers, writes down what it did in which order, and stands still while ``gate`` is closed."""

    def __init__(self) -> None:
        self.log: list[object] = []
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()

    def answer(self, items: Sequence[int]) -> list[int]:
        self.log.append(list(items))
        self.started.set()
        self.gate.wait(30)
        if -1 in items:
            raise ValueError("minus one")
        return [2 * item for item in items]

    def step(self, name: str) -> str:
        self.log.append(name)
        self.started.set()
        self.gate.wait(30)
        return name


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
async def thread(model: Model) -> AsyncIterator[PriorityThread[int, int]]:
    running = PriorityThread(model.answer)
    yield running
    model.gate.set()
    await running.close()


async def hold(model: Model, thread: PriorityThread[int, int]) -> asyncio.Task[str]:
    """Keep the model busy until the gate opens."""
    model.gate.clear()
    busy = asyncio.create_task(thread.run(lambda: model.step("busy")))
    await asyncio.to_thread(model.started.wait, 30)
    return busy


async def started(*tasks: asyncio.Task[object]) -> None:
    """Let ``tasks`` run up to where they wait."""
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


async def test_an_idle_model_answers_at_once(model: Model, thread: PriorityThread[int, int]) -> None:
    assert await thread.ask(21) == 42
    assert model.log == [[21]]


async def test_what_waits_is_answered_together(model: Model, thread: PriorityThread[int, int]) -> None:
    busy = await hold(model, thread)
    calls = [asyncio.create_task(thread.ask(i)) for i in range(5)]
    await started(*calls)
    model.gate.set()
    assert await asyncio.gather(*calls) == [0, 2, 4, 6, 8]
    assert await busy == "busy"
    assert model.log == ["busy", [0, 1, 2, 3, 4]]


async def test_no_more_than_the_limit_are_joined(model: Model, thread: PriorityThread[int, int]) -> None:
    await hold(model, thread)
    calls = [asyncio.create_task(thread.ask(i)) for i in range(MAX_JOINED + 3)]
    await started(*calls)
    model.gate.set()
    assert await asyncio.gather(*calls) == [2 * i for i in range(MAX_JOINED + 3)]
    assert [len(entry) for entry in model.log[1:]] == [MAX_JOINED, 3]  # type: ignore[arg-type]


async def test_questions_go_before_steps(model: Model, thread: PriorityThread[int, int]) -> None:
    await hold(model, thread)
    steps = [asyncio.create_task(thread.run(lambda name=name: model.step(name))) for name in ("a", "b")]
    await started(*steps)
    question = asyncio.create_task(thread.ask(1))
    await started(question)
    model.gate.set()
    assert await asyncio.gather(question, *steps) == [2, "a", "b"]
    assert model.log == ["busy", [1], "a", "b"]


async def test_who_leaves_is_not_answered_and_disturbs_nobody(model: Model, thread: PriorityThread[int, int]) -> None:
    await hold(model, thread)
    calls = [asyncio.create_task(thread.ask(i)) for i in range(3)]
    step = asyncio.create_task(thread.run(lambda: model.step("left")))
    await started(*calls, step)
    calls[1].cancel()
    step.cancel()
    await asyncio.gather(calls[1], step, return_exceptions=True)
    model.gate.set()
    assert await asyncio.gather(calls[0], calls[2]) == [0, 4]
    assert await thread.ask(5) == 10
    assert model.log == ["busy", [0, 2], [5]]


async def test_who_leaves_while_being_answered_disturbs_nobody(model: Model, thread: PriorityThread[int, int]) -> None:
    model.gate.clear()
    call = asyncio.create_task(thread.ask(1))
    await asyncio.to_thread(model.started.wait, 30)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    model.gate.set()
    assert await thread.ask(2) == 4


async def test_an_error_reaches_those_who_asked_and_no_others(model: Model, thread: PriorityThread[int, int]) -> None:
    with pytest.raises(ValueError, match="minus one"):
        await thread.ask(-1)
    assert await thread.ask(1) == 2


async def test_closing_ends_the_thread_and_refuses_who_waits(model: Model, thread: PriorityThread[int, int]) -> None:
    others = set(threading.enumerate())
    busy = await hold(model, thread)
    waiting = [asyncio.create_task(thread.ask(1)), asyncio.create_task(thread.run(lambda: 1))]
    await started(*waiting)
    closing = asyncio.create_task(thread.close())
    await asyncio.sleep(0)
    model.gate.set()
    await closing
    assert await busy == "busy", "what runs is finished"
    assert all(isinstance(r, UpstreamUnavailable) for r in await asyncio.gather(*waiting, return_exceptions=True))
    with pytest.raises(UpstreamUnavailable, match="closed"):
        await thread.ask(1)
    with pytest.raises(UpstreamUnavailable, match="closed"):
        await thread.run(lambda: 1)
    assert not [one for one in threading.enumerate() if one.name.startswith("model") and one not in others]


async def test_many_callers_of_both_lanes_all_get_their_own(thread: PriorityThread[int, int]) -> None:
    asked = [thread.ask(i) for i in range(500)]
    ran = [thread.run(lambda i=i: i) for i in range(500)]
    assert await asyncio.gather(*asked, *ran) == [2 * i for i in range(500)] + list(range(500))
