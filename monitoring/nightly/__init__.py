"""The nightly judgement: is the model still fit?"""

from monitoring.nightly.intake import FEATURE, Intake, Outcomes
from monitoring.nightly.survey import SURVEYED, Plan, Survey
from monitoring.nightly.watch import Figures, Watched, watch

__all__ = ["FEATURE", "SURVEYED", "Figures", "Intake", "Outcomes", "Plan", "Survey", "Watched", "watch"]
