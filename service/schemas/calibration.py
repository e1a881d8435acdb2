"""Calibrations on the wire."""

from __future__ import annotations

from pydantic import Field

from service.schemas.common import Body, View
from winnow.core.calibration import Calibration


class CalibrationBody(Body):
    """The parameters that `winnow calibrate` fits."""

    weights: dict[str, float] = Field(
        description="of the features score, margin, ahead, coverage, dense and sparse; none below 0",
        examples=[{"score": 0.9, "margin": 0.4}],
    )
    intercept: float
    threshold: float = Field(0.5, gt=0, lt=1, description="probability from which an answer is taken to be there")
    calibrated_on: str = Field(max_length=200, examples=["faq, 300 queries, 2026-11-28"])
    quality: dict[str, float] = Field(default_factory=dict, description="figures of the fit: ece, auroc …")

    def to_calibration(self) -> Calibration:
        """The domain's form; the models are filled in where it is kept.

        Raises:
            InvalidInput: a feature is unknown, or a weight is below 0.
        """
        return Calibration("", self.weights, self.intercept, self.threshold, self.calibrated_on, self.quality)


class CalibrationView(View):
    """A calibration, and the models that it belongs to."""

    models: str
    weights: dict[str, float]
    intercept: float
    threshold: float
    calibrated_on: str
    quality: dict[str, float]


class AnswerableView(View):
    """Whether the collection has an answer, by its calibration."""

    probability: float = Field(description="that the first result is right")
    threshold: float = Field(description="from which an answer is taken to be there")
    calibrated_on: str
