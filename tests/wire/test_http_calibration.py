"""A calibrated collection over HTTP: its answers say how probably they are right."""

from __future__ import annotations

PATH = "/v1/collections/docs"
BODY = {"weights": {"score": 1.0}, "intercept": 0.0, "calibrated_on": "faq, 40 queries"}


async def test_answers_carry_a_probability_as_long_as_the_models_are_those(service, monkeypatch):
    await service.fill("docs", [{"id": "a", "text": "copy a file"}, {"id": "b", "text": "parse a date"}])
    plain = (await service.client.post(f"{PATH}/search", json={"query": "copy a file"})).json()
    assert "answerable" not in plain

    kept = await service.client.put(f"{PATH}/calibration", json=BODY)
    assert kept.status_code == 200
    assert (await service.client.get(PATH)).json()["calibration"]["models"] == kept.json()["models"] != ""
    answer = (await service.client.post(f"{PATH}/search", json={"query": "copy a file"})).json()
    assert answer["results"] == plain["results"], "no score and no order changes"
    judged = answer["answerable"]
    assert judged["calibrated_on"] == "faq, 40 queries"
    assert abs(judged["probability"] - answer["results"][0]["relevance_score"]) < 1e-3
    strict = {"query": "copy a file", "min_relevance": 1.0}
    assert (await service.client.post(f"{PATH}/search", json=strict)).json()["answerable"] == judged

    changed = service.resources.reranker.info.__class__("fake", "another")
    monkeypatch.setattr(type(service.resources.reranker), "info", property(lambda _: changed))
    other = (await service.client.post(f"{PATH}/search", json={"query": "copy a file"})).json()
    assert "answerable" not in other
    assert "winnow calibrate" in other["stages"]["rerank"]["reason"]


async def test_without_relevance_scores_there_is_no_probability(service):
    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    await service.client.put(f"{PATH}/calibration", json=BODY)
    answer = (await service.client.post(f"{PATH}/search", json={"query": "copy", "rerank": False})).json()
    assert "answerable" not in answer
    assert (await service.client.delete(f"{PATH}/calibration")).status_code == 204
    assert (await service.client.get(PATH)).json()["calibration"] is None


async def test_a_calibration_is_checked(service):
    await service.client.put(PATH)
    for wrong in ({"weights": {"luck": 1.0}}, {"weights": {"score": -1.0}}, {"threshold": 2}):
        assert (await service.client.put(f"{PATH}/calibration", json={**BODY, **wrong})).status_code == 422


async def test_a_threshold_without_a_second_stage_is_not_applied_and_the_answer_says_so(service):
    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    body = {"query": "copy", "rerank": False, "min_relevance": 0.9}
    answer = await service.client.post(f"{PATH}/search", json=body)
    assert answer.status_code == 200
    assert answer.json()["results"]
    assert "min_relevance was not applied" in answer.json()["stages"]["rerank"]["reason"]
