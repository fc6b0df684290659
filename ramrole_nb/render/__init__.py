"""Values as HTML, Markdown-free text tables and cards. Pure functions; everything that comes from outside is escaped."""

from .cards import html_card, text_card
from .tables import html_table, text_table

__all__ = ["html_card", "html_table", "text_card", "text_table"]
