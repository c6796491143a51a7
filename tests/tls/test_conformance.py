"""The responses over HTTPS are those over HTTP: the same tests, through a TLS tunnel."""

from tests.lib.template import PROXIES, Pair
from tests.pairs.test_bodies import test_body_over_the_limit, test_upload_in_chunks
from tests.pairs.test_forwarding import (
    test_all_spoofed_headers_together_are_ignored,
    test_spoofed_client_headers_are_ignored,
)
from tests.pairs.test_headers import test_every_response_has_security_headers
from tests.pairs.test_routing import (
    test_conditional_request,
    test_front_page_names_the_service_and_not_what_serves_it,
    test_head_is_get_without_a_body,
    test_no_content,
    test_options,
    test_response_is_exact,
    test_two_cookies,
    test_wrong_method,
)
from tests.pairs.test_smuggling import test_two_lengths
from tests.pairs.test_static import test_static_file_comes_from_the_proxy
from tests.pairs.test_streaming import (
    test_events_arrive_one_by_one,
    test_slow_readers_do_not_block_others,
)
from tests.tls.conftest import PAIRS_TRIED

# Here each of the servers runs behind each proxy.
PAIRS = [Pair(tried.server, proxy) for tried in PAIRS_TRIED for proxy in PROXIES]

__all__ = [
    "test_all_spoofed_headers_together_are_ignored",
    "test_body_over_the_limit",
    "test_conditional_request",
    "test_events_arrive_one_by_one",
    "test_every_response_has_security_headers",
    "test_front_page_names_the_service_and_not_what_serves_it",
    "test_head_is_get_without_a_body",
    "test_no_content",
    "test_options",
    "test_response_is_exact",
    "test_slow_readers_do_not_block_others",
    "test_spoofed_client_headers_are_ignored",
    "test_static_file_comes_from_the_proxy",
    "test_two_cookies",
    "test_two_lengths",
    "test_upload_in_chunks",
    "test_wrong_method",
]
