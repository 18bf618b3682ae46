"""Verda's error codes, each as what it means for whoever asked."""

import httpx
import pytest

from nodestack.clouds.verda.client import explain
from nodestack.errors import AmbiguousError, CloudError, InsufficientBalance, OutOfStock
from tests.clouds.verda.conftest import Shop

ORDER = httpx.Request("POST", "https://api.verda.com/v1/instances")


@pytest.mark.parametrize(
    ("status", "code", "message", "means"),
    [
        (400, "invalid_request", "Invalid hostname", None),
        (400, "invalid_request", "8H100.80S.176V is not available in FIN-01", OutOfStock),
        (401, "unauthorized_request", "Access token expired", CloudError),
        (402, "insufficient_funds", "Insufficient funds", InsufficientBalance),
        (403, "forbidden_action", "Not allowed", None),
        (404, "not_found", "Instance not found", None),
        (404, "", "<html>no such page</html>", AmbiguousError),
        (500, "server_error", "Something went wrong", None),
        (503, "service_unavailable", "Not enough capacity", OutOfStock),
        (503, "service_unavailable", "Try again later", None),
        (503, "", "upstream not available", None),
    ],
)
def test_each_code_has_its_meaning(status: int, code: str, message: str, means: type[CloudError] | None) -> None:
    body = {"code": code, "message": message}
    told = {"json": body} if code else {"text": message}
    answer = httpx.Response(status, request=ORDER, **told)
    explained = explain(answer)
    if means is None:
        assert explained is None
    else:
        assert isinstance(explained, means)
        assert isinstance(explained, AmbiguousError) == (means is AmbiguousError)


def test_an_invalid_request_says_what_verda_said(shop: Shop) -> None:
    request = shop.request(shop.volume(), image="windows-95")
    with pytest.raises(CloudError, match="400: image windows-95 is not supported"):
        shop.cloud.create_node(request, shop.told.append)
