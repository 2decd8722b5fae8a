# ruff: noqa: RUF001 (letters of other scripts are meant)
"""Eight of the most frequent function words of a language each.

Gopher (Rae et al. 2021) asks for two of eight English ones, since a list of products or names has
none; for other languages the eight are chosen here by the same idea: articles, prepositions,
conjunctions and the forms of to be and to have. A language that is not here is not asked.
"""

_WORDS = {
    "en": "the be to of and that have with",
    "de": "der die und in den von zu mit",
    "fr": "le de un être et à il les",
    "es": "de la que el en y los con",
    "it": "di che è e la il un per",
    "pt": "de que e o do da em para",
    "nl": "de het een en van in is met",
    "sv": "och i att det som en på av",
    "da": "og i at det er en til af",
    "no": "og i det er på som en til",
    "nb": "og i det er på som en til",
    "fi": "ja on ei se että oli myös kun",
    "pl": "w i na z do się nie jest",
    "cs": "a se v na je že s z",
    "sk": "a sa v na je že s z",
    "hu": "a az és hogy nem is egy van",
    "ro": "și de în la cu este care nu",
    "ru": "и в не на что с по это",
    "uk": "і в не на що з до це",
    "bg": "и в на не от да се за",
    "el": "και το να του η για στο με",
    "tr": "ve bir bu da için ile de olarak",
    "ar": "في من على إلى أن عن هذا مع",
    "fa": "و در به از که این را با",
    "he": "של את על לא הוא זה עם גם",
    "id": "yang dan di itu dengan untuk dari ini",
    "vi": "và của là có trong cho không được",
}
STOP_WORDS = {language: frozenset(words.split()) for language, words in _WORDS.items()}
"""By ISO 639-1."""
