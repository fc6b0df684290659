"""The check, hint and solution engine of the guided notebooks, and their exercises, one module a notebook.

Start at `course.py`; how to add an exercise is at the head of `exercise.py`.
"""

from .course import Lesson, lesson
from .exercise import Exercise
from .shown import OUTCOMES, Hint, Prepared, ProgressTable, Solution, Verdict

__all__ = [
    "OUTCOMES",
    "Exercise",
    "Hint",
    "Lesson",
    "Prepared",
    "ProgressTable",
    "Solution",
    "Verdict",
    "lesson",
]
