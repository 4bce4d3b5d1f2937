"""The names of months and days in a text, in English and in the languages a date filter's ``locale`` may name."""

from __future__ import annotations

import calendar
from typing import Final

_MONTHS: Final = {
    name.lower(): n for names in (calendar.month_abbr, calendar.month_name) for n, name in enumerate(names) if n
}
DAYS: Final = {name.lower(): n + 1 for names in (calendar.day_abbr, calendar.day_name) for n, name in enumerate(names)}
# CLDR's abbreviated and wide month names where they are not the English ones; Java takes them as they are written.
_LOCALE_MONTHS: Final = {
    "pt": (
        ["jan.", "fev.", "mar.", "abr.", "mai.", "jun.", "jul.", "ago.", "set.", "out.", "nov.", "dez."],
        ["janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto", "setembro", "outubro", "novembro", "dezembro"],
    ),
    "de": (
        ["Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez."],
        ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"],
    ),
    "es": (
        ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sept", "oct", "nov", "dic"],
        ["enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"],
    ),
    "fr": (
        ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."],
        ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"],
    ),
}  # fmt: skip


def months(locale: str | None) -> dict[str, int]:
    """The names of the months in a language, in small letters, and their numbers."""
    names = _LOCALE_MONTHS.get((locale or "en").replace("_", "-").split("-")[0])
    if names is None:
        return _MONTHS
    return {name.lower(): n + 1 for group in names for n, name in enumerate(group)}
