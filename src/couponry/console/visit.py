"""One request to the console, with what the gate found out about it."""

from collections.abc import Mapping
from typing import Self
from urllib.parse import parse_qsl

import falcon.asgi

from couponry.core.limits import FORM_FIELDS_MAX
from couponry.core.roles import Permission, may
from couponry.store.audit import Actor
from couponry.store.sessions import Session


class Form(dict[str, list[str]]):
    """What a form sent: for each field its values, in order. WTForms reads it as it is."""

    @classmethod
    def read(cls, body: bytes) -> Self | None:
        """The fields of an `application/x-www-form-urlencoded` body; None if it is not one. NUL is nobody's text."""
        try:
            pairs = parse_qsl(
                body.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=bool(body),
                max_num_fields=FORM_FIELDS_MAX,
                errors="strict",
            )
        except ValueError:
            return None
        form = cls()
        for name, value in pairs:
            if "\0" in name or "\0" in value:
                return None
            form.setdefault(name, []).append(value)
        return form

    def getlist(self, name: str) -> list[str]:
        """All values of a field."""
        return self.get(name, [])

    def text(self, name: str) -> str:
        """A field's only or first value, without surrounding blanks; empty when absent."""
        return next(iter(self.getlist(name)), "").strip()

    def secret(self, name: str) -> str:
        """A password as it was typed, blanks too."""
        return next(iter(self.getlist(name)), "")


class Visit(falcon.asgi.Request):
    """A request. `session` is set on every page but the open ones, `form` on every POST of a form."""

    __slots__ = ("address", "form", "maybe_session", "now_ms", "request_id", "started_s")

    address: str
    form: Form
    maybe_session: Session | None
    now_ms: int
    request_id: str
    started_s: float

    @property
    def session(self) -> Session:
        """Who is signed in."""
        assert self.maybe_session, "the gate lets nobody else in"
        return self.maybe_session

    @property
    def org_id(self) -> int:
        """The org that everything on the page belongs to."""
        return self.session.org.id

    def may(self, permission: Permission) -> bool:
        """Whether who is signed in may."""
        return self.maybe_session is not None and may(self.maybe_session.person.role, permission)

    def query(self, name: str) -> str:
        """A parameter of the address, without surrounding blanks; empty when absent. NUL is taken out."""
        return (self.get_param(name) or "").replace("\0", "").strip()

    def number(self, name: str) -> int | None:
        """A parameter of the address that names a row; None when absent, or when no row has such a number."""
        return number_of(self.query(name))

    def actor(self) -> Actor:
        """Who does what is done here, for the audit log."""
        person = self.session.person
        return Actor(
            org_id=person.org_id,
            user_id=person.id,
            email=person.email,
            address=self.address,
            request_id=self.request_id,
            now_ms=self.now_ms,
        )

    def wanted(self) -> Mapping[str, str]:
        """The parameters of the address, each once, for links that change one of them."""
        return {name: value if isinstance(value, str) else value[-1] for name, value in self.params.items()}


def number_of(text: str) -> int | None:
    """A row's number as it stands in an address or a form; None when it cannot be one."""
    is_one = text.isascii() and text.isdigit() and len(text) <= len(str(2**53))
    return int(text) if is_one else None
