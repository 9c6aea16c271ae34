"""The words that shops use for the status of an order, and the status of a record that each stands for."""

from beam_talonone.pipelines.mappings.synonyms import bare

STATUSES: dict[str, dict[str, tuple[str, ...]]] = {
    "completed": {
        "en": ("paid", "complete", "completed", "closed", "fulfilled", "shipped", "dispatched", "sent", "delivered",
               "done", "finished", "success", "succeeded"),
        "de": ("bezahlt", "versendet", "versandt", "verschickt", "abgeschlossen", "geliefert", "ausgeliefert",
               "zugestellt", "erledigt", "fertig"),
        "fr": ("payé", "payée", "expédié", "expédiée", "livré", "livrée", "terminé", "terminée", "envoyé", "envoyée"),
        "es": ("pagado", "pagada", "enviado", "enviada", "entregado", "entregada", "completado", "completada",
               "finalizado", "terminado"),
        "it": ("pagato", "pagata", "spedito", "spedita", "consegnato", "consegnata", "completato", "completata",
               "evaso"),
        "nl": ("betaald", "verzonden", "verstuurd", "geleverd", "bezorgd", "afgerond", "voltooid", "afgehandeld"),
    },
    "open": {
        "en": ("open", "new", "pending", "processing", "in progress", "in process", "on hold", "authorized",
               "created", "draft", "unpaid", "partially paid", "awaiting payment", "pending payment", "confirmed"),
        "de": ("offen", "neu", "in Bearbeitung", "in Arbeit", "ausstehend", "unbezahlt", "teilweise bezahlt",
               "teilbezahlt", "wartend", "wartet auf Zahlung", "Zahlung ausstehend", "angelegt",
               "bestätigt", "in Vorbereitung"),
        "fr": ("ouvert", "ouverte", "nouveau", "nouvelle", "en attente", "en cours", "en attente de paiement",
               "en préparation", "non payé", "impayé"),
        "es": ("abierto", "abierta", "nuevo", "nueva", "pendiente", "pendiente de pago", "en proceso", "procesando",
               "en espera", "en preparación"),
        "it": ("aperto", "aperta", "nuovo", "nuova", "in attesa", "in attesa di pagamento", "in lavorazione",
               "in elaborazione", "in corso"),
        "nl": ("nieuw", "openstaand", "in behandeling", "in afwachting", "wacht op betaling", "onbetaald"),
    },
    "cancelled": {
        "en": ("cancelled", "canceled", "voided", "void", "failed", "rejected", "aborted"),
        "de": ("storniert", "storno", "abgebrochen", "annulliert", "abgelehnt", "fehlgeschlagen", "widerrufen"),
        "fr": ("annulé", "annulée", "refusé", "refusée", "échoué"),
        "es": ("cancelado", "cancelada", "anulado", "anulada", "rechazado", "rechazada", "fallido"),
        "it": ("annullato", "annullata", "cancellato", "rifiutato", "fallito"),
        "nl": ("geannuleerd", "afgebroken", "geweigerd", "mislukt"),
    },
}  # fmt: skip
"""Status of a record -> language -> words of shops. A word that says nothing about the goods, such as `returned` or
`refunded`, is not here: the user has to decide."""

_STATUS_OF = {
    bare(word): status
    for status, languages in STATUSES.items()
    for words in languages.values()
    for word in words
}  # fmt: skip


def status_of(word: str) -> str | None:
    """The status of a record that a word of a shop stands for, None for an unknown word. Case, accents, blanks and
    signs do not matter.

    >>> status_of("In Bearbeitung"), status_of("PAYE"), status_of("in the post")
    ('open', 'completed', None)
    """
    return _STATUS_OF.get(bare(word))
