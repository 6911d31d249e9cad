"""One function in several processes at once, which form a process group of torch: one process a
device.

The parent starts them, listens to what they send, and outlives them; it is no member of the group.
Nobody waits for ever: one failure ends all, the parent's end ends its children, and Ctrl-C and
SIGTERM are the parent's to answer.
"""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any

import torch.distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from forecaster.errors import UserError

HOST = "127.0.0.1"
_ANSWERED = (signal.SIGINT, signal.SIGTERM)
GO_ON = "the training goes on with: train --resume latest"


def run_in_group(
    count: int,
    backend: str,
    work: Callable[..., None],
    args: Sequence[Any],
    receive: Callable[..., None],
) -> None:
    """``work(rank, send, *args)`` in ``count`` fresh processes; ``send(*values)`` there is
    ``receive(*values)`` here.

    ``work`` is a function of a module; what passes between the processes is pickled, in memory.
    """
    context = multiprocessing.get_context("spawn")
    meeting = TCPStore(HOST, 0, is_master=True, wait_for_workers=False)  # on a port that is free
    members: dict[Connection, BaseProcess] = {}
    answers = {
        number: signal.signal(number, signal.SIG_IGN) for number in _ANSWERED
    }  # as the children inherit it
    try:
        for rank in range(count):
            reader, writer = context.Pipe(duplex=False)
            process: BaseProcess = context.Process(
                target=_member, args=(rank, count, backend, meeting.port, writer, work, args)
            )
            process.start()
            writer.close()
            members[reader] = process
        _answer(answers)
        _listen(members, receive)
    finally:
        _answer(answers)
        for process in members.values():
            process.kill()
            process.join()


def _answer(answers: Mapping[signal.Signals, Any]) -> None:
    for number, answer in answers.items():
        signal.signal(number, answer)


def _listen(members: Mapping[Connection, BaseProcess], receive: Callable[..., None]) -> None:
    """Until all have ended, or one has failed."""
    running = set(members)
    while running:
        for reader in running & set(wait(list(running))):
            try:
                message = reader.recv()
            except EOFError:  # the process has ended
                running.remove(reader)
                members[reader].join()
                _check_ends(members.values())
                continue
            if isinstance(message, Exception):
                _check_ends(
                    members.values()
                )  # one that was killed is the cause of the others' errors
                raise message
            receive(*message)


def _check_ends(processes: Iterable[BaseProcess]) -> None:
    for number, process in enumerate(processes, start=1):
        if process.exitcode:
            code = process.exitcode
            how = f"with status {code}" if code > 0 else f"by {signal.Signals(-code).name}"
            hint = "if memory ran out, give fewer --devices; " if code == -signal.SIGKILL else ""
            raise UserError(f"training process {number} was ended {how}; {hint}{GO_ON}")


def _member(
    rank: int,
    count: int,
    backend: str,
    port: int,
    writer: Connection,
    work: Callable[..., None],
    args: Sequence[Any],
) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        os.environ |= {
            "LOCAL_RANK": str(rank),
            "NODE_RANK": "0",
        }  # for Lightning: the processes are there already
        dist.init_process_group(backend, store=TCPStore(HOST, port), rank=rank, world_size=count)
        work(rank, lambda *values: writer.send(values), *args)
        dist.destroy_process_group()
    except Exception as error:
        writer.send(_told(error, rank + 1))
        # the parent ends all; leaving the group now would give the others an error too
        _wait_for_parent()


def _told(error: Exception, number: int) -> Exception:
    """The error as the parent raises it: a user's own, or one that says where it was and carries
    its traceback.
    """
    if isinstance(error, UserError | OSError):
        return error
    told = UserError(f"training process {number} failed ({type(error).__name__}: {error}); {GO_ON}")
    told.add_note("".join(traceback.format_exception(error)))
    return told


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()


def _end_with_parent() -> None:
    _wait_for_parent()
    os._exit(1)
