"""A student's process: runs the cells of a notebook and answers calls.

Requests come over a socket, one at a time, and each is answered by one message with the
same ``id``. What is asked for comes from the trusted side; what is answered is data
that the trusted side makes up its own mind about.

- ``cell``: run a cell, as Jupyter would; answer its outputs.
- ``names``: answer which of some names are defined.
- ``call``: call something with plain data; answer plain data, a handle, or the error.
"""

import builtins
import marshal
import os
import socket
from types import FunctionType
from typing import Any

from grader import alongside
from grader.inside import wire
from grader.inside.shell import Shell

MAX_REQUEST_BYTES = 1 << 30
# what may stand in a request besides data
KINDS = frozenset({"name", "handle", "attribute", "code", "alongside", "model"})


def serve(sock: socket.socket, shell: Shell) -> None:
    """Answer requests until the trusted side closes the socket."""
    session = _Session(shell)
    while True:
        try:
            request = wire.receive(
                sock, max_bytes=MAX_REQUEST_BYTES, kinds=KINDS, gradients=True
            )
        except EOFError:
            return
        number, reply = {"id": request["id"]}, session.answer(request)
        refer = session.keep if request.get("handles") else None
        try:
            wire.send(sock, number | reply, refer=refer)
        except wire.NotData as error:
            error.path = error.path.removeprefix("['value']")
            reply = {"error": {"kind": "TypeError", "text": str(error)}}
            wire.send(sock, number | reply)
        # an object may do anything when it is read; nothing was sent yet
        except Exception as error:
            wire.send(sock, number | {"error": alongside.described(error)})


class _Session:
    def __init__(self, shell: Shell):
        self.shell = shell
        self.handles: list[Any] = []

    def answer(self, request: dict) -> dict:
        return getattr(self, "_" + request["op"])(request)

    def keep(self, value: Any) -> wire.Tagged:
        """Keep what is no data here; return the handle that goes in its place."""
        self.handles.append(value)
        return wire.Tagged("handle", [len(self.handles) - 1, type(value).__name__])

    def _cell(self, request: dict) -> dict:
        ran = self.shell.run_cell(request["source"])
        return {
            "outputs": ran.outputs,
            "execution_count": ran.execution_count,
            "flag": ran.flag,
            "earlier": ran.changed_earlier,
        }

    def _names(self, request: dict) -> dict:
        return {"names": [n for n in request["names"] if n in self.shell.namespace]}

    def _call(self, request: dict) -> dict:
        here = os.getpid()
        try:
            # what is printed here is about inputs that students do not get to see
            with self.shell.capturing():
                target = self._find(request["target"])
                arguments = [self._find(a) for a in request["arguments"]]
                keywords = {k: self._find(a) for k, a in request["keywords"].items()}
                value = target(*arguments, **keywords)
            reply = {"value": value}
        except BaseException as error:
            reply = {"error": alongside.described(error)}
        if os.getpid() != here:
            # student code forked, and this is the copy: it must not answer, too
            os._exit(0)
        return reply

    def _find(self, argument: Any) -> Any:
        """Return what a reference stands for; containers are searched."""
        if isinstance(argument, wire.Tagged):
            return getattr(self, "_find_" + argument.kind)(argument.content)
        if type(argument) in (list, tuple):
            return type(argument)(map(self._find, argument))
        if type(argument) is dict:
            return {key: self._find(value) for key, value in argument.items()}
        return argument

    def _find_name(self, name: str) -> Any:
        if name not in self.shell.namespace:
            raise NameError(f"name {name!r} is not defined")
        return self.shell.namespace[name]

    def _find_handle(self, content: list) -> Any:
        return self.handles[content[0]]

    def _find_attribute(self, content: list) -> Any:
        return getattr(self._find(content[0]), content[1])

    def _find_alongside(self, name: str) -> Any:
        return getattr(alongside, name)

    def _find_code(self, content: list) -> Any:
        code, name, defaults, keyword_defaults = content
        space = {"__builtins__": builtins, "__name__": "grader.beside"}
        function = FunctionType(marshal.loads(code), space, name, tuple(defaults))
        function.__kwdefaults__ = keyword_defaults or None
        return function

    def _find_model(self, content: list) -> Any:
        build, arguments, weights, training = content
        model = self._find(build)(**arguments)
        model.load_state_dict(weights)
        return model.train(training)
