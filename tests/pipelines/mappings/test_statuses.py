"""Words of status in several languages, and those that nobody can guess."""

from collections import Counter

import pytest

from beam_talonone.pipelines.mappings.statuses import STATUSES, status_of
from beam_talonone.pipelines.mappings.synonyms import bare


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("bezahlt", "completed"),
        ("Versendet", "completed"),
        ("ABGESCHLOSSEN", "completed"),
        ("geliefert", "completed"),
        ("offen", "open"),
        ("neu", "open"),
        ("in Bearbeitung", "open"),
        ("in_bearbeitung", "open"),
        ("storniert", "cancelled"),
        ("abgebrochen", "cancelled"),
        ("payée", "completed"),
        ("EN COURS", "open"),
        ("annule", "cancelled"),
        ("enviado", "completed"),
        ("pendiente", "open"),
        ("anulado", "cancelled"),
        ("spedito", "completed"),
        ("in attesa", "open"),
        ("annullato", "cancelled"),
        ("verzonden", "completed"),
        ("openstaand", "open"),
        ("geannuleerd", "cancelled"),
        ("on-hold", "open"),
        ("Partially_Paid", "open"),
        (" paid ", "completed"),
    ],
)
def test_a_known_word(word, status):
    assert status_of(word) == status


@pytest.mark.parametrize("word", ["", "returned", "Retoure", "refunded", "nicht bezahlt", "aktiv", "1", "None"])
def test_other_words_are_unknown(word):
    assert status_of(word) is None


def test_a_word_has_one_status():
    words = [
        (bare(word), status)
        for status, languages in STATUSES.items()
        for of_language in languages.values()
        for word in of_language
    ]
    statuses = Counter(word for word, _ in set(words))
    assert [word for word, count in statuses.items() if count > 1] == []
