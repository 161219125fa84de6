"""Answers of v3 endpoints (README 4.4)."""

from typing import Final

import msgspec

from couponry.api.call import Reply
from couponry.api.envelopes import V3Error, V3Errors, v3_failure
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store.webhooks import UNKNOWN

NOT_FOUND: Final = 404


def refused(*found: object) -> Reply:
    """The first refusal among what was found: 404 for what is not there, 400 for what cannot be."""
    why = next(one for one in found if isinstance(one, Problem | Code))
    if isinstance(why, Code):
        return v3_failure(why)
    status = NOT_FOUND if why.code == UNKNOWN else 400
    number = why.code if isinstance(why.code, int) else NOT_FOUND if why.code == UNKNOWN else Code.INVALID_INPUT.number
    return Reply(status, msgspec.json.encode(V3Errors([V3Error(number, why.text)])))
