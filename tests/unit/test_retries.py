"""Retries of requests."""

import pytest

from handler.retries import BUSY_SECONDS, Retries, TryAgain


class Service:
    """A service that fails so many times. It records the pauses before retries."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.failures = 0
        self.is_busy = True
        self.requests = 0
        self.retries = Retries(lambda: self.now, self.pauses.append)

    def request(self) -> str:
        self.requests += 1
        if self.failures:
            self.failures -= 1
            raise TryAgain(OSError(f"failure {self.requests}"), is_busy=self.is_busy)
        return "an answer"

    def run(self) -> str:
        return self.retries.run(self.request, tries=4, seconds=1)


@pytest.fixture
def service() -> Service:
    return Service()


def test_an_answer_at_once_costs_no_pause(service: Service) -> None:
    assert service.run() == "an answer"
    assert service.pauses == []


def test_each_pause_is_longer_than_the_one_before(service: Service) -> None:
    service.failures = 3
    assert service.run() == "an answer"
    assert service.requests == 4
    first, second, third = service.pauses
    assert 2 <= first <= 4 <= second <= 8 <= third <= 16


def test_the_error_of_the_last_try_is_raised_without_a_pause_after_it(service: Service) -> None:
    service.failures = 4
    with pytest.raises(OSError, match="failure 4"):
        service.run()
    assert len(service.pauses) == 3


def test_a_service_that_was_too_busy_gets_one_try_for_a_while(service: Service) -> None:
    service.failures = 5
    for requests in (4, 5):
        with pytest.raises(OSError, match="failure"):
            service.run()
        assert service.requests == requests
    service.now += BUSY_SECONDS
    service.failures = 3
    assert service.run() == "an answer"


def test_a_failure_without_a_busy_service_costs_the_next_request_no_try(service: Service) -> None:
    service.failures, service.is_busy = 7, False
    with pytest.raises(OSError, match="failure 4"):
        service.run()
    assert service.run() == "an answer"
    assert service.requests == 8


def test_any_other_error_is_raised_at_once(service: Service) -> None:
    def fails() -> None:
        service.requests += 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        service.retries.run(fails, tries=4, seconds=1)
    assert service.requests == 1
