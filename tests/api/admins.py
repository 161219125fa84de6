"""Requests of a client with the admin scope."""

from typing import Any

import httpx

from tests.api.shop import Front, Shop

KEY = "Adm1n"
TOKEN = "/v3/oauth/token/generate"


class Admin:
    """Asks as an OAuth client with the admin scope of one shop."""

    def __init__(self, shop: Shop, front: Front, **client: Any) -> None:
        shop.client(key=KEY, is_admin=True, **client)
        self._front = front
        answer = front.ask("POST", TOKEN, json={"key": KEY, "secret": "pLz8"}, auth=None)
        self.headers = {"Authorization": f"Bearer {answer.json()['data']['accessToken']}"}

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._front.ask(method, f"/admin/v1{path}", auth=None, headers=self.headers, **more)

    def explain(self, **query: Any) -> dict[str, Any]:
        """An explanation for Mira at the till, unless told otherwise."""
        usual = {"customer": "mobile:919812300001", "till": "till1", "amount": "1800"}
        answer = self.ask("GET", "/explain", params={**usual, **query})
        assert answer.status_code == 200, answer.text
        explained: dict[str, Any] = answer.json()
        return explained
