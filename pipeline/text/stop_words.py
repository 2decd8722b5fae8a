"""English words that say nothing of a subject."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS = _words("""
a about after again all also am an and any are as at be because been before being between both but
by can could did do does doing down during each few for from further had has have having he her here
his if in into is it its itself just may me might more most must my no nor not now of off on once
only or other our out over own same shall she should so some such than that the their them then
there these they this those through to too under until up very was we were while will with would
you your
""")
"""Question words are none of them."""

QUESTION_WORDS = _words("how what when where which who whom whose why")
