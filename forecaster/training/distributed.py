"""One function run by several processes, a process a device, that form a torch process group.

The parent starts them, receives what they send, and outlives them; it is no member of the group. No
process waits for ever: one failure ends all, the parent's end ends its children, and the parent
alone handles Ctrl-C and SIGTERM.
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
_HANDLED = (signal.SIGINT, signal.SIGTERM)
RESUME_HINT = "the training goes on with: train --resume latest"


def run_in_group(
    count: int,
    backend: str,
    work: Callable[..., None],
    args: Sequence[Any],
    receive: Callable[..., None],
) -> None:
    """Run ``work(rank, send, *args)`` in ``count`` new processes.

    ``send(*values)`` in a process calls ``receive(*values)`` in this one. ``work`` is a function of
    a module; what passes between the processes is pickled, in memory.
    """
    context = multiprocessing.get_context("spawn")
    rendezvous = TCPStore(HOST, 0, is_master=True, wait_for_workers=False)  # on a free port
    members: dict[Connection, BaseProcess] = {}
    # ignored while the processes start, since they inherit it
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in _HANDLED}
    try:
        for rank in range(count):
            reader, writer = context.Pipe(duplex=False)
            process: BaseProcess = context.Process(
                target=_member, args=(rank, count, backend, rendezvous.port, writer, work, args)
            )
            process.start()
            writer.close()
            members[reader] = process
        _restore(handlers)
        _listen(members, receive)
    finally:
        _restore(handlers)
        for process in members.values():
            process.kill()
            process.join()


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _listen(members: Mapping[Connection, BaseProcess], receive: Callable[..., None]) -> None:
    """Receive messages until all processes have ended, or one has failed."""
    running = set(members)
    while running:
        for reader in running & set(wait(list(running))):
            try:
                message = reader.recv()
            except EOFError:  # the process has ended
                running.remove(reader)
                members[reader].join()
                _check_exit_codes(members.values())
                continue
            if isinstance(message, Exception):
                # one that was killed is the cause of the others' errors
                _check_exit_codes(members.values())
                raise message
            receive(*message)


def _check_exit_codes(processes: Iterable[BaseProcess]) -> None:
    for number, process in enumerate(processes, start=1):
        if process.exitcode:
            code = process.exitcode
            how = f"with status {code}" if code > 0 else f"by {signal.Signals(-code).name}"
            hint = "if memory ran out, give fewer --devices; " if code == -signal.SIGKILL else ""
            raise UserError(f"training process {number} was ended {how}; {hint}{RESUME_HINT}")


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
        # tells Lightning that the processes are running already
        os.environ |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0"}
        dist.init_process_group(backend, store=TCPStore(HOST, port), rank=rank, world_size=count)
        work(rank, lambda *values: writer.send(values), *args)
        dist.destroy_process_group()
    except Exception as error:
        writer.send(_as_user_error(error, rank + 1))
        # the parent ends all; leaving the group now would give the others an error too
        _wait_for_parent()


def _as_user_error(error: Exception, number: int) -> Exception:
    """The error that the parent raises: one that names the process, its traceback as a note.

    A UserError or an OSError is raised unchanged.
    """
    if isinstance(error, UserError | OSError):
        return error
    kind = type(error).__name__
    message = f"training process {number} failed ({kind}: {error}); {RESUME_HINT}"
    user_error = UserError(message)
    user_error.add_note("".join(traceback.format_exception(error)))
    return user_error


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()


def _end_with_parent() -> None:
    _wait_for_parent()
    os._exit(1)
