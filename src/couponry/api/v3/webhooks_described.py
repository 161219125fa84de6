"""The operations on webhooks as the OpenAPI document describes them."""

from typing import Any, Final

from couponry.api.envelopes import V3Errors
from couponry.api.operation import GATE_HEADERS, Operation, Parameter
from couponry.api.v3.webhooks_wire import Gone, MetaData, NewSecret, One, PingSent, Several, WebhookBody
from couponry.core.status import Code

PATH: Final = "/v3/webHooks"
META: Final = f"{PATH}/eventMetaData"
ONE: Final = f"{PATH}/{{webhook_id}}"
ROTATE: Final = f"{ONE}/rotateSecret"
PING: Final = f"{ONE}/ping"
REDELIVER: Final = f"{ONE}/redeliver"

ID: Final = Parameter("webhook_id", "path", "`webHookId` of the webhook", is_name=True)
UNKNOWN_WEBHOOK: Final = ((404, "404 there is no such webhook"),)


def operation(path: str, method: str, summary: str, response: Any, body: Any = None, **more: Any) -> Operation:  # noqa: ANN401 - types of structs
    """An operation that answers in v3 envelopes."""
    usual = {"codes": (Code.INVALID_INPUT,), "refusal_status": 400}
    return Operation(path, method, summary, response, V3Errors, body, **{**usual, **more})


OPERATIONS: Final = (
    operation(PATH, "post", "Make a webhook; its secret is told here and never again", One, WebhookBody, parameters=GATE_HEADERS),
    operation(PATH, "get", "All webhooks; their headers are masked for those who may not write", Several, codes=()),
    operation(META, "get", "The events that webhooks may name", MetaData, codes=()),
    operation(
        ONE,
        "put",
        "Change a webhook: events not listed are removed, what is not named stays",
        One,
        WebhookBody,
        parameters=(ID, *GATE_HEADERS),
        refusals=UNKNOWN_WEBHOOK,
    ),
    operation(ONE, "delete", "Delete a webhook; what waits for it is not sent", Gone, parameters=(ID,), refusals=UNKNOWN_WEBHOOK),
    operation(
        ROTATE,
        "post",
        "A new secret; the one before signs beside it for a day",
        NewSecret,
        parameters=(ID, *GATE_HEADERS),
        refusals=UNKNOWN_WEBHOOK,
    ),
    operation(PING, "post", "Send a test event to a webhook", PingSent, parameters=(ID,), refusals=UNKNOWN_WEBHOOK),
)
