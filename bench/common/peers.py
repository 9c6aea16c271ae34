"""The ways of sending orders from a pipeline that bench/speed.py compares; each runs in a process of its own.

    cd bench && python -m common.peers PEER URL ORDERS.jsonl

sends every order once as a session update and prints the seconds that it took, and the seconds of processor time.
Starting Python and importing are left out, reading the file is not.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from common.runs import KEY

IN_FLIGHT = 64
UNLIMITED = 100_000.0


def session_of(order: dict[str, Any]) -> dict[str, Any]:
    """The body of a session update, as a user would write it down for these orders."""
    items = [
        {**{name: item[name] for name in ("sku", "quantity", "name", "category")}, "price": float(item["unit_price"])}
        for item in order["items"]
    ]
    session = {
        "profileId": order["customer_id"], "state": "closed", "storeIntegrationId": order["store_id"],
        "cartItems": items, "attributes": order["attributes"],
    }  # fmt: skip
    return {"customerSession": session}


def write_to_talon_one(url: str, orders: Path) -> Callable[[], None]:
    """beam_talonone's own transform."""
    import apache_beam as beam

    from beam_talonone import WriteToTalonOne

    os.environ["TALONONE_API_KEY"] = KEY
    pipeline = _pipeline()
    write = WriteToTalonOne("orders", base_url=url, rate=UNLIMITED, concurrency=IN_FLIGHT)
    _ = pipeline | beam.io.ReadFromText(str(orders)) | beam.Map(msgspec.json.decode) | write
    return lambda: pipeline.run().wait_until_finish()


def request_response_io(url: str, orders: Path) -> Callable[[], None]:
    """What Beam and the vendor offer today: RequestResponseIO around the official SDK."""
    import apache_beam as beam
    from apache_beam.io.requestresponse import RequestResponseIO

    pipeline = _pipeline()
    source = pipeline | beam.io.ReadFromText(str(orders)) | beam.Map(msgspec.json.decode)
    _ = source | RequestResponseIO(_session_caller(url))
    return lambda: pipeline.run().wait_until_finish()


def _pipeline() -> Any:
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    return beam.Pipeline(runner=FnApiRunner())


def par_do(url: str, orders: Path) -> Callable[[], None]:
    """What a pipeline without either would have: a DoFn that calls the official SDK."""
    import apache_beam as beam

    class UpdateSession(beam.DoFn):  # type: ignore[misc]
        def setup(self) -> None:
            self._api = _sdk(url)

        def process(self, order: dict[str, Any]) -> None:
            _update_session(self._api, order)

    pipeline = _pipeline()
    orders_read = pipeline | beam.io.ReadFromText(str(orders)) | beam.Map(msgspec.json.decode)
    _ = orders_read | beam.ParDo(UpdateSession())
    return lambda: pipeline.run().wait_until_finish()


def _session_caller(url: str) -> Any:
    from apache_beam.io.requestresponse import Caller

    class UpdateSession(Caller):  # type: ignore[misc]
        def __enter__(self) -> Any:
            self._api = _sdk(url)
            return self

        def __call__(self, order: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            return _update_session(self._api, order)

    return UpdateSession()


def _sdk(url: str) -> Any:
    import talon_one

    configuration = talon_one.Configuration(
        host=url, api_key={"api_key_v1": KEY}, api_key_prefix={"api_key_v1": "ApiKey-v1"}
    )
    return talon_one.IntegrationApi(talon_one.ApiClient(configuration))


def _update_session(api: Any, order: dict[str, Any]) -> Any:
    import talon_one

    return api.update_customer_session_v2(
        order["order_id"], talon_one.IntegrationRequest.from_dict(session_of(order))
    )


PEERS = {"WriteToTalonOne": write_to_talon_one, "RequestResponseIO": request_response_io, "ParDo": par_do}


def main() -> None:
    """Send the orders by the peer of the command line; print seconds and seconds of processor time."""
    peer, url, orders = sys.argv[1:]
    send = PEERS[peer](url, Path(orders))
    began, worked = time.perf_counter(), time.process_time()
    send()
    print(time.perf_counter() - began, time.process_time() - worked)


if __name__ == "__main__":
    main()
