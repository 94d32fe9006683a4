"""A JSON API in all the ways in which they page, let in and date, as a transport."""

import base64
import re
from collections.abc import Callable
from typing import Any

import httpx

Record = dict[str, Any]
SECRET = "s3cr3t-0f-the-api"
BASE = "https://crm.example/api"


class RestHost:
    """Answers below /api/… with the records that lie under the path, each a way of paging."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records
        self.requests: list[httpx.Request] = []
        self.lets_in: Callable[[httpx.Request], bool] = lambda request: True
        self.before_answer: Callable[[int], None] = lambda count: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.before_answer(len(self.requests))
        self.requests.append(request)
        if not self.lets_in(request):
            return httpx.Response(
                401, json={"detail": f"no {request.headers.get('Authorization')}"}
            )
        own = re.fullmatch(r"/api/stages/([^/]+)/deals", request.url.path)
        if own is not None:
            of_stage = [record for record in self.records if record["stage"] == own[1]]
            return httpx.Response(200, json=of_stage)
        answer = getattr(self, f"_{request.url.path.removeprefix('/api/').strip('/')}", None)
        if answer is None:
            return httpx.Response(404, json={"detail": "Not found."})
        response: httpx.Response = answer(request, dict(request.url.params))
        return response

    def _stages(self, request: httpx.Request, asked: dict[str, str]) -> httpx.Response:
        stages = [{"name": name, "area": "北"} for name in {of["stage"]: 0 for of in self.records}]
        return httpx.Response(200, json={"data": stages, "count": len(stages)})

    def _bare(self, request: httpx.Request, asked: dict[str, str]) -> httpx.Response:
        return httpx.Response(200, json=self._found(asked))

    def _boxed(self, request: httpx.Request, asked: dict[str, str]) -> httpx.Response:
        """A list in a box in a box, by offset, with its count."""
        offset, limit = int(asked["offset"]), min(int(asked["limit"]), 4)
        found = self._found(asked)
        page = found[offset : offset + limit]
        return httpx.Response(
            200,
            json={
                "open_leads": {"open_leads": page, "leads_count": len(found)},
                "count": len(found),
            },
        )

    def _numbered(self, request: httpx.Request, asked: dict[str, str]) -> httpx.Response:
        number, size = int(asked["page"]), 4
        page = self._found(asked)[(number - 1) * size : number * size]
        return httpx.Response(200, json={"data": page})

    def _deaf(self, request: httpx.Request, asked: dict[str, str]) -> httpx.Response:
        """Ignores what is asked for."""
        return httpx.Response(200, json={"data": self.records[:4]})

    def _tokens(self, request: httpx.Request, asked: dict[str, str]) -> httpx.Response:
        start = int(asked.get("after", "t0")[1:])
        page, rest = self.records[start : start + 4], self.records[start + 4 :]
        content: Record = {"data": page}
        return httpx.Response(200, json=content | ({"next_token": f"t{start + 4}"} if rest else {}))

    def _circle(self, request: httpx.Request, asked: dict[str, str]) -> httpx.Response:
        """A token that leads back."""
        start = int(asked.get("after", "0"))
        record = {"id": start, "turn": len(self.requests)}
        return httpx.Response(200, json={"data": [record], "next_token": str((start + 1) % 3)})

    def _linked(self, request: httpx.Request, asked: dict[str, str]) -> httpx.Response:
        number = int(asked.get("page", "1"))
        page = self.records[(number - 1) * 4 : number * 4]
        following = f"{BASE}/linked/?page={number + 1}&kind={asked.get('kind', '')}"
        is_last = number * 4 >= len(self.records)
        return httpx.Response(200, json={"results": page, "next": None if is_last else following})

    def _headed(self, request: httpx.Request, asked: dict[str, str]) -> httpx.Response:
        number = int(asked.get("page", "1"))
        is_last = number * 4 >= len(self.records)
        headers = {} if is_last else {"Link": f'</api/headed?page={number + 1}>; rel="next"'}
        page = self.records[(number - 1) * 4 : number * 4]
        return httpx.Response(200, json=page, headers=headers)

    def _elsewhere(self, request: httpx.Request, asked: dict[str, str]) -> httpx.Response:
        return httpx.Response(200, json={"results": self.records, "next": "https://evil.example/x"})

    def _found(self, asked: dict[str, str]) -> list[Record]:
        """The records of the window asked for, as the API compares: text with text."""
        return [
            record
            for record in self.records
            if asked.get("created_from", "") <= record["created_at"]
            and record["created_at"] < asked.get("created_to", "~")
            and asked.get("changed_from", "") <= record["updated_at"]
        ]


def basic(user: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()
