"""Clicks of simulated visitors, whose relevance and position bias are known, and what is made of them."""

from __future__ import annotations

import math
import random
from collections import defaultdict

import numpy as np
import pytest

from winnow.evaluation.clicks import LEAST_CLICKS, Impression, judge_by_clicks, seen_answer
from winnow.evaluation.metrics import NDCG, score_rankings

ATTRACTIONS = (0.03, 0.03, 0.03, 0.03, 0.03, 0.3, 0.3, 0.6, 0.6, 0.9)
DEPTH = 10
BIASES = {
    "1/rank": lambda rank: 1 / rank,
    "1/sqrt(rank)": lambda rank: rank**-0.5,
    "geometric": lambda rank: 0.8 ** (rank - 1),
    "logarithmic": lambda rank: 1 / math.log2(1 + rank),
}


def truth(seed=5, queries=12, documents=12):
    chance = random.Random(seed)
    return {f"query {q}": {f"{q}-{d}": chance.choice(ATTRACTIONS) for d in range(documents)} for q in range(queries)}


def ranked(relevance, chance):
    """An order that follows relevance, but not closely."""
    return sorted(relevance, key=lambda document: -(relevance[document] + chance.gauss(0, 0.5)))[:DEPTH]


def visits(relevances, bias, *, each=200, orders=3, seed=6):
    """``each`` visitors a query look at ranks by ``bias`` and click what is relevant; the order changes over time."""
    chance = random.Random(seed)
    found = []
    for query, relevance in relevances.items():
        shown = [ranked(relevance, chance) for _ in range(orders)]
        for visit in range(each):
            order = shown[visit * orders // each]
            clicked = {
                document for rank, document in enumerate(order, 1) if chance.random() < bias(rank) * relevance[document]
            }
            visitor = f"{query} {visit}"
            found.append(Impression(query, visitor, dict(enumerate(order, 1)), frozenset(clicked)))
    return found


def click_rates(impressions):
    """Raw counts: clicks over showings, whatever the rank."""
    counts = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for impression in impressions:
        for document in impression.results.values():
            counts[impression.query][document][0] += 1
            counts[impression.query][document][1] += document in impression.clicked
    return {query: {key: hit / shown for key, (shown, hit) in found.items()} for query, found in counts.items()}


def error(estimates, relevances):
    """Root mean square difference from the truth, each relative to the best shown document of its query."""
    squares = []
    for query, found in estimates.items():
        most, best = max(found.values()), max(relevances[query][document] for document in found)
        squares += [(value / most - relevances[query][document] / best) ** 2 for document, value in found.items()]
    return math.sqrt(np.mean(squares))


def corrected(judged):
    return {judged.questions.queries[key]: found for key, found in judged.relevance.items()}


@pytest.mark.parametrize("bias", BIASES.values(), ids=BIASES)
def test_corrected_clicks_come_nearer_to_the_truth_than_raw_counts(bias):
    relevances = truth()
    log = visits(relevances, bias)
    judged = judge_by_clicks(log)
    assert len(judged.judged) == len(relevances)
    assert error(corrected(judged), relevances) < 0.6 * error(click_rates(log), relevances)


@pytest.mark.parametrize("bias", BIASES.values(), ids=BIASES)
def test_the_bias_is_found_where_the_order_of_results_changed(bias):
    found = judge_by_clicks(visits(truth(), bias, each=1000)).bias
    assert found.propensities == pytest.approx([bias(rank) for rank in range(1, DEPTH + 1)], abs=0.08)
    assert found.results > 50
    assert found.clicks > 1000


def test_where_the_order_never_changed_the_bias_is_assumed_and_said_to_be():
    relevances = truth()
    log = visits(relevances, BIASES["1/rank"], orders=1)
    judged = judge_by_clicks(log)
    assert (judged.bias.clicks, judged.bias.results) == (0, 0)
    assert judged.bias.propensities == pytest.approx([1 / rank for rank in range(1, DEPTH + 1)])
    assert error(corrected(judged), relevances) < 0.5 * error(click_rates(log), relevances)


def test_what_a_better_order_gains_is_measured_more_truly_than_by_raw_counts():
    relevances = truth()
    log = visits(relevances, BIASES["1/rank"], orders=1)
    judged = judge_by_clicks(log)
    shown = {each.query: list(each.results.values()) for each in log}
    better = {query: sorted(order, key=lambda each: -relevances[query][each]) for query, order in shown.items()}

    def gain(estimates):
        grades = {
            query: {key: round(100 * value) for key, value in found.items()} for query, found in estimates.items()
        }
        return score_rankings(better, grades)[NDCG].mean() - score_rankings(shown, grades)[NDCG].mean()

    true = gain({query: {key: relevances[query][key] for key in shown[query]} for query in shown})
    by_grades = gain({judged.questions.queries[key]: grades for key, grades in judged.questions.judgments.items()})
    assert gain(click_rates(log)) < 0.5 * true
    assert by_grades == pytest.approx(true, abs=float(0.1 * true))


def test_grades_are_shares_of_the_most_relevant_result():
    log = [
        Impression("q", f"v{visit}", {1: "always", 2: "often", 3: "never"}, frozenset(clicked))
        for visit, clicked in enumerate(
            [["always", "often"], ["always", "often"], ["always"], ["always"], ["always"]] * 20
        )
    ]
    judged = judge_by_clicks(log)
    assert judged.questions.judgments == {"q1": {"always": 3, "often": 2, "never": 0}}
    assert judged.relevance["q1"]["often"] == pytest.approx(40 / 51)


def click(query, visitor, *documents):
    return Impression(query, visitor, {1: "a", 2: "b"}, frozenset(documents))


def test_a_query_is_judged_from_thirty_distinct_clicks_on():
    log = [click("most", f"v{visit}", "a") for visit in range(LEAST_CLICKS)]
    log += [click("fewer", f"v{visit}", "a") for visit in range(LEAST_CLICKS - 1)]
    log += [click("none", f"v{visit}") for visit in range(100)]
    judged = judge_by_clicks(log)
    assert judged.judged == (("most", LEAST_CLICKS),)
    assert judged.too_few == (("fewer", LEAST_CLICKS - 1),)
    assert judged.searches == len(log)
    assert judged.questions.queries == {"q1": "most"}


def test_what_one_visitor_clicks_again_and_again_is_one_click():
    log = [click("q", "robot", "a", "b") for _ in range(1000)]
    assert judge_by_clicks(log).too_few == (("q", 2),)


def test_a_click_counts_at_the_rank_where_it_was_made_and_what_is_seen_after_it_does_not():
    log = []
    for visit in range(40):
        log.append(Impression("q", f"v{visit}", {1: "a", 2: "b"}))
        log.append(Impression("q", f"v{visit}", {1: "b", 2: "a"}, frozenset("b")))
        log.append(Impression("q", f"v{visit}", {1: "a", 2: "b"}, frozenset("b")))
    judged = judge_by_clicks(log)
    assert judged.judged == (("q", 40),)
    assert judged.bias.clicks == 40
    assert judged.bias.propensities[1] < 0.25
    assert judged.relevance["q1"]["a"] == 0


def test_spellings_of_a_query_are_one_and_the_most_frequent_is_asked():
    log = [click(text, f"{text}{visit}", "a") for text in ("Zu\u0308rich  map", "Zürich map") for visit in range(20)]
    log.append(click("zürich map", "one", "a"))
    log.append(click("Zürich map", "two", "a"))
    assert judge_by_clicks(log).judged == (("Zürich map", 42),)


def search(**other):
    """A line of the export of analytics."""
    line = {"id": "s1", "query": "q", "session": "", "shown": ["a", "", "b"], "first": 11, "replaced_by": None}
    return {**line, "events": [], **other}


def clicked_on(document, kind="click"):
    return {"type": kind, "document_id": document, "position": 1, "session": "other"}


def test_an_exported_search_is_an_answer_that_was_seen():
    assert seen_answer(search()) == Impression("q", "s1", {11: "a", 13: "b"})
    events = [clicked_on("b"), clicked_on("a", "conversion")]
    assert seen_answer(search(session="v", events=events)) == Impression("q", "v", {11: "a", 13: "b"}, frozenset("b"))


def test_a_search_that_was_still_being_typed_is_seen_only_if_something_was_clicked():
    assert seen_answer(search(replaced_by="s2")) is None
    clicked = seen_answer(search(replaced_by="s2", events=[clicked_on("a")]))
    assert clicked == Impression("q", "s1", {11: "a", 13: "b"}, frozenset("a"))
    assert seen_answer(search(shown=[])) is None


def test_without_clicks_there_are_no_judgments():
    for log in ([], [click("q", "v")]):
        judged = judge_by_clicks(log)
        assert (judged.judged, judged.too_few, judged.questions.queries) == ((), (), {})
        assert judged.bias.clicks == 0
