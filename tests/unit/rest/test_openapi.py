"""The description of a gateway, made of annotations."""

import base64
import re
from hashlib import sha256
from typing import Any

import httpx

from tests.unit.storefront import Shop


async def described(web: httpx.AsyncClient) -> Any:
    answer = await web.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


async def test_public_tasks_are_described_and_no_others(web: httpx.AsyncClient) -> None:
    told = await described(web)
    assert told["openapi"] == "3.1.0"
    assert {path for path in told["paths"] if path.startswith("/tasks/")} == {
        "/tasks/pack",
        "/tasks/wake",
        "/tasks/rest",
        "/tasks/a%20task/with%20a%20odd%20name",
    }


async def test_a_body_is_described_by_the_tasks_annotations(web: httpx.AsyncClient) -> None:
    told = await described(web)
    post = told["paths"]["/tasks/pack"]["post"]
    assert (post["summary"], post["description"]) == ("Pack one item.", "It is wrapped first.")
    body = post["requestBody"]["content"]["application/json"]["schema"]
    assert body == {
        "type": "object",
        "properties": {
            "item": {"$ref": "#/components/schemas/Item"},
            "fragile": {"type": "boolean", "default": False},
        },
        "additionalProperties": False,
        "required": ["item"],
    }
    item = told["components"]["schemas"]["Item"]
    assert item["properties"]["count"] == {"type": "integer", "default": 1} and item["required"] == ["name"]
    result = post["responses"]["200"]["content"]["application/json"]["schema"]
    assert result["properties"]["result"] == {"type": "string"}


async def test_every_reference_in_it_leads_somewhere(web: httpx.AsyncClient) -> None:
    told = await described(web)
    found = set(re.findall(r'"\$ref":"#/components/schemas/([^"]+)"', (await web.get("/openapi.json")).text))
    assert found and found <= set(told["components"]["schemas"])
    names = re.compile(r"[a-zA-Z0-9._-]+")
    assert all(names.fullmatch(name) for name in told["components"]["schemas"])


async def test_tokens_are_described_where_there_are_some(shop: Shop, web: httpx.AsyncClient) -> None:
    assert "security" not in await described(web)
    token = "0123456789abcdef"
    async with shop.client(tokens=[token]) as guarded:
        told = (await guarded.get("/openapi.json", headers={"authorization": f"Bearer {token}"})).json()
    assert told["security"] == [{"token": []}]
    assert told["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}


async def test_the_page_needs_nothing_from_elsewhere(web: httpx.AsyncClient) -> None:
    answer = await web.get("/docs")
    assert "//" not in re.sub(r"<script>.*</script>", "", answer.text, flags=re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    assert "http" not in script and "innerHTML" not in script
    digest = base64.b64encode(sha256(script.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert f"'sha256-{digest}'" in policy and "default-src 'none'" in policy
