"""A browser without scripts: keeps cookies, follows redirects, and fills in forms as they stand on a page."""

from html.parser import HTMLParser
from typing import Any, Self

import httpx

from tests.api.shop import Front


class Page(HTMLParser):
    """The forms of a page, each with its action, method and what is filled in."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.response = response
        self.status = response.status_code
        self.text = response.text
        self.forms: list[tuple[str, str, dict[str, str]]] = []
        self._select = ""
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.forms.append((given.get("action") or "", (given.get("method") or "get").lower(), {}))
        elif tag in {"input", "select", "textarea"} and self.forms and (name := given.get("name")):
            self._select = name if tag == "select" else ""
            is_off = given.get("type") in {"checkbox", "radio"} and "checked" not in given
            if tag == "input" and not is_off:
                self.forms[-1][2][name] = given.get("value") or ("on" if given.get("type") == "checkbox" else "")
        elif tag == "option" and self._select and "selected" in given:
            self.forms[-1][2][self._select] = given.get("value") or ""

    def form(self, action: str) -> dict[str, str]:
        """What is filled in in the form that goes there."""
        return next(fields for where, _, fields in self.forms if where.startswith(action))


class Browser:
    """One person's."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.cookies: dict[str, str] = {}

    def sign_in(self, email: str, password: str) -> Self:
        assert self.post("/sign-in", email=email, password=password, next="/account").status in {200, 404}
        assert self.cookies.get("couponry-session")
        return self

    def get(self, path: str, **query: Any) -> Page:
        return self._asked("GET", path, params=query or None)

    def post(self, path: str, *, files: Any = None, **fields: Any) -> Page:
        """Post a form of ours; the session's own secret is filled in unless told otherwise."""
        if "csrf" not in fields and self.cookies.get("couponry-session"):
            fields["csrf"] = self.csrf
        if files is not None:
            return self._asked("POST", path, files=files, params={"csrf": fields.pop("csrf", "")}, data=fields)
        return self._asked("POST", path, data=fields)

    @property
    def csrf(self) -> str:
        page = self._once("GET", "/console/account")
        return Page(page).form("/console/sign-out")["csrf"]

    def _asked(self, method: str, path: str, **more: Any) -> Page:
        path = path if path.startswith("/console") else f"/console{path}"
        answer = self._once(method, path, **more)
        for _ in range(5):
            if answer.status_code != httpx.codes.SEE_OTHER:
                break
            answer = self._once("GET", answer.headers["location"])
        return Page(answer)

    def _once(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        answer = self.front.ask(method, path, auth=None, headers=headers, **more)
        for name, value in answer.cookies.items():
            self.cookies[name] = value
        for header in answer.headers.get_list("set-cookie"):
            if "expires=Thu, 01 Jan 1970" in header or "Max-Age=0" in header:
                self.cookies.pop(header.partition("=")[0], None)
        return answer
