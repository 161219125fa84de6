"""The v1.1 API: the same commands, rules and ledger as V2 in another dress, spoken in JSON and in XML.

How an endpoint is made:

- The gate has already rewritten the path (`paths.py`: `/v1/coupon/...`, `.json`, `.xml`) and chosen the format; `req.wire`
  answers in it. Register the plain path (`/v1.1/coupon/get`) in a module's `routes(parts)`.
- A body is read by `await body_of(req, seats, Body, excess)` (`bodies.py`): JSON or XML, the same struct, wrapped in `root`.
- An answer is one neutral tree (`tree.py`): dicts, texts, numbers, booleans, None, and three kinds of node where the formats
  differ: `Entries` (a singular key: object or list in JSON, repeated elements in XML), `Listed` (a bare list in JSON, a wrapper
  in XML) and `StatusNumber`. `statuses.py` makes `status` and `item_status`.
- `req.wire.reply(payload, Code.SUCCESS)` makes it a Reply; `req.wire.failure(code)` refuses the request as a whole. Both know the
  deployment's two switches (README 3, 5), so no endpoint does.
"""
