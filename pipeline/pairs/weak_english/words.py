"""Word lists of English for the rules: a part-of-speech tagger would be one more model to ship."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VERBS = _words("""
accept activate add adjust affect allow appear apply arrive ask become begin belong block bridge
bring calculate carry cause change charge check clear close collect combine come compare compute
confirm connect consist consume contain continue control convert correct correspond cost count
cover create cut decide delay delete deliver depend describe detect determine differ discard
display divide draw drive drop earn enable end ensure enter exceed exclude expire explain export
extend fall feed fill find follow give grow guarantee guide handle hang happen help hold
identify import improve include increase indicate inform introduce jump keep last lead learn
leave let limit list lock lose lower maintain mean measure need notify occur offer open operate
pay perform permit position prevent print process produce protect provide publish raise reach
read receive recommend record reduce refer refund release remain remind remove repair replace
report request require reset respond restart restore return run save scale send serve set
shorten show signal sort sound specify stand start stay stop store supply support switch take
tell test trigger turn update upload use verify wait warn waste weigh work write
""")
"""Base forms of verbs common in manuals."""
NOUNS_TOO = _words("""
block cause change charge check control cost count cover cut delay display drive drop end export
fall fill help hold import increase limit list lock measure offer print process report request
reset restart return run save scale set show signal sort sound start stand stay stop store supply
support switch test trigger turn update upload use wait work
""")
"""Verbs whose form in -s may be a plural noun: ``six blocks need``."""
COUNTS = _words("""
two three four five six seven eight nine ten eleven twelve thirteen several both all
""")
LASTING = _words("block hold keep last need remain run stay store take wait")
"""Verbs that go with ``How long``."""
MOMENTARY = _words("appear begin close end expire happen occur open restart start stop return")
"""Verbs that go with ``When`` if no object follows."""
PREPOSITIONAL = _words("belong come connect consist correspond depend refer stand")
"""Verbs whose object follows a preposition: ``What does it depend on``."""
PARTICIPLES = _words("built held kept known lost put read sent set shown sold worn")
"""Irregular ones, beside those in -ed and -en."""
ADJECTIVES = _words("""
allowed available common compatible due effective free necessary normal possible required
responsible suitable sufficient typical valid visible
""")
"""They belong to the verb of a question: ``How long is a manual return possible``."""
ARTICLES = _words("A All An Any At Each Every Four One Only Several The Three Two Up")
AUXILIARIES = _words("are can cannot has have is may must should was were will")
ADVERBS = _words("also always automatically first now only still then usually")
GENERIC = _words("""
available configure configured describe during explain feature features happen happens long made
main many maximum minimum much name need needed often place possible product purpose set kind
type types use used user users using value work works
""")
"""Words that a question may bring along."""
