"""The map from domain errors to HTTP knows every one of them."""

from __future__ import annotations

import pytest

from service.errors import STATUS, problem_from, problem_kind
from winnow.core.errors import (
    DataDirectoryLocked,
    DeadlineExceeded,
    Overloaded,
    UpstreamUnavailable,
    WinnowError,
    by_code,
)


def tree(root):
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


def test_every_domain_error_has_a_status():
    # those of a single package say in their docstrings that they do not leave it
    assert {each for each in tree(WinnowError) if each.__module__ == WinnowError.__module__} == set(STATUS)


@pytest.mark.parametrize("error", STATUS)
def test_code_leads_back_to_the_class(error):
    assert by_code(error.code) is error


def test_unknown_code_leads_to_no_class():
    assert by_code("nonsense") is None


def test_error_of_a_single_package_is_answered_as_its_base():
    class Private(UpstreamUnavailable):
        """Not in the tree."""

    assert problem_from(Private("x")).kind == problem_from(UpstreamUnavailable("x")).kind


@pytest.mark.parametrize("error", STATUS)
def test_status_is_an_error_and_the_summary_is_not_empty(error):
    kind = problem_kind(error)
    assert 400 <= kind.status <= 599
    assert kind.summary


@pytest.mark.parametrize("error", STATUS)
def test_what_can_be_retried_is_told_apart_from_what_cannot(error):
    temporary = {429, 500, 502, 503, 504, 507}
    assert not error.retryable or STATUS[error] in temporary


def test_retry_after_is_whole_seconds_rounded_up():
    assert problem_from(Overloaded("x", retry_after=2.1)).headers == {"Retry-After": "3"}
    assert problem_from(UpstreamUnavailable("x", retry_after=0)).headers["Retry-After"] >= "1"
    assert problem_from(DeadlineExceeded("x")).headers is None


def test_place_is_listed():
    problem = problem_from(WinnowError("bad", location=("filter", 0)))
    assert problem.errors == [{"loc": ["filter", 0], "message": "bad"}]


def test_locked_directory_is_a_conflict():
    assert problem_from(DataDirectoryLocked("x", pid=1)).kind.status == 409
