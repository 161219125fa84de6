"""How v1.1 answers one request: in its format, with its code's HTTP status, by the deployment's two switches (README 3-5)."""

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from couponry.api.call import Call, Reply
from couponry.api.envelopes import headers_of, http_status
from couponry.api.v1_1 import formats, statuses
from couponry.api.v1_1.tree import Tree
from couponry.core.status import Code

_CUSTOMERS: Final = "/v1.1/customer/"
_HTTP_MAX: Final = 599
_NO_HEADERS: Final = MappingProxyType[str, str]({})


class Wire:
    """One format under the switches; two of them serve all requests of a process."""

    def __init__(self, media_type: str, encode: Callable[[Tree], bytes], *, is_always_200: bool) -> None:
        self._headers = MappingProxyType({"Content-Type": media_type})
        self._encode = encode
        self._is_always_200 = is_always_200
        self.failure = cache(self._failure)

    def reply(self, payload: Tree, code: Code, headers: Mapping[str, str] = _NO_HEADERS, *, is_boolean: bool = False) -> Reply:
        """`response` with the request's status and the payload."""
        response: Tree = {"status": statuses.status(code, is_boolean=is_boolean), **payload}
        return self.document({"response": response}, code, headers)

    def document(self, tree: Tree, code: Code, headers: Mapping[str, str] = _NO_HEADERS) -> Reply:
        """A whole tree, for the few answers that are put together in another way."""
        return Reply(self._http(code), self._encode(tree), {**self._headers, **headers} if headers else self._headers)

    def _failure(self, code: Code) -> Reply:
        """A request refused as a whole."""
        return self.reply({}, code, headers_of(code))

    def _http(self, code: Code) -> int:
        return 200 if self._is_always_200 else http_of(code)


def http_of(code: Code) -> int:
    """The code itself where HTTP has such a status, else that of README 5."""
    return code.number if code.number <= _HTTP_MAX and code is not Code.PROCESSING_ERROR else http_status(code)


class Wires:
    """Finds the wire of a request."""

    def __init__(self, *, code_as_string: bool, http_always_200: bool) -> None:
        encoders = formats.encoders(code_as_string=code_as_string)
        self._wires = {
            name: Wire(formats.MEDIA_TYPES[name], encode, is_always_200=http_always_200) for name, encode in encoders.items()
        }
        encode = encoders["xml"]
        rooted = Wire(formats.MEDIA_TYPES["xml"], lambda tree: encode({"root": tree}), is_always_200=http_always_200)
        self._of_customers = {**self._wires, "xml": rooted}

    def of(self, call: Call, suffix: str) -> Wire:
        """The wire for the format that the request asks for; `suffix` is what its path ended with.

        Customer resources have `<root><response>` in XML (corrections 2).
        """
        wires = self._of_customers if call.path.startswith(_CUSTOMERS) else self._wires
        return wires[formats.format_of(call, suffix)]
