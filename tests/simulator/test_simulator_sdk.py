"""The vendor's own SDK does every operation against a running simulator and reads every answer."""

import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    talon_one = pytest.importorskip("talon_one")


@pytest.fixture(scope="module")
def sdk(url):
    configuration = talon_one.Configuration(
        host=url, api_key={"api_key_v1": "k"}, api_key_prefix={"api_key_v1": "ApiKey-v1"}
    )
    return talon_one.IntegrationApi(talon_one.ApiClient(configuration))


def request(model, **fields):
    return getattr(talon_one, model).from_dict(fields)


ITEMS = [{"sku": "tea", "quantity": 2, "price": 19.99}, {"sku": "cup", "quantity": 1, "price": 5}]


def test_a_session_from_open_to_returned(sdk):
    id = "sdk/50% off?"
    content = ["customerSession", "customerProfile", "event", "coupons", "loyalty", "triggeredCampaigns"]
    body = {"profileId": "sdk p", "state": "open", "cartItems": ITEMS, "couponCodes": ["C"], "attributes": {"a": 1}}
    answer = sdk.update_customer_session_v2(
        id, request("IntegrationRequest", customerSession=body, responseContent=content)
    )
    assert answer.customer_session.integration_id == id
    assert answer.customer_session.total == 44.98
    assert answer.customer_profile.integration_id == "sdk p"
    closed = request("IntegrationRequest", customerSession={"state": "closed"}, responseContent=[])
    assert sdk.update_customer_session_v2(id, closed).effects == []
    assert sdk.reopen_customer_session(id).effects == []
    sdk.update_customer_session_v2(id, closed)
    back = request(
        "ReturnIntegrationRequest",
        **{"return": {"returnedCartItems": [{"sku": "tea", "quantity": 1}]}, "responseContent": ["customerSession"]},
    )
    answer = sdk.return_cart_items(id, back)
    assert answer.customer_session.state == "partially_returned"
    session = sdk.get_customer_session(id).customer_session
    assert [item.remaining_quantity for item in session.cart_items] == [1, 1]
    assert session.coupon_codes == ["C"]


def test_profiles_audiences_events_and_erasure(sdk):
    update = request(
        "CustomerProfileIntegrationRequestV2",
        attributes={"a": 1},
        audiencesChanges={"adds": [7], "deletes": []},
        responseContent=["customerProfile"],
    )
    answer = sdk.update_customer_profile_v2("sdk-q", update, run_rule_engine=True)
    assert answer.customer_profile.attributes == {"a": 1}
    many = request(
        "MultipleCustomerProfileIntegrationRequest",
        customerProfiles=[{"integrationId": "sdk-q", "attributes": {"b": 2}}],
    )
    assert sdk.update_customer_profiles_v2(many) in (None, "")
    states = sdk.update_customer_profiles_v2(many, silent="no").integration_states
    assert states[0].customer_profile.attributes == {"a": 1, "b": 2}
    actions = request(
        "CustomerProfileAudienceRequest",
        data=[{"action": "delete", "profileIntegrationId": "sdk-q", "audienceId": 7}],
    )
    assert sdk.update_customer_profile_audiences(actions) is None
    event = request(
        "IntegrationEventV2Request",
        profileId="sdk-q",
        type="viewed",
        attributes={"page": 1},
        responseContent=["event", "customerProfile"],
    )
    answer = sdk.track_event_v2(event, silent="no")
    assert answer.event.type == "viewed"
    assert answer.customer_profile.audience_memberships == []
    assert sdk.delete_customer_data("sdk-q") is None


def test_refusals_are_the_exceptions_of_the_sdk(sdk, url):
    with pytest.raises(talon_one.exceptions.BadRequestException) as refused:
        sdk.reopen_customer_session("sdk-nothing")
    assert refused.value.status == 400
    with pytest.raises(talon_one.exceptions.NotFoundException):
        sdk.delete_customer_data("sdk-nobody")
    stranger = talon_one.IntegrationApi(talon_one.ApiClient(talon_one.Configuration(host=url)))
    with pytest.raises(talon_one.exceptions.UnauthorizedException):
        stranger.get_customer_session("sdk-nothing")
