from pipeline.text.bm25 import bm25

DOCUMENTS = [["pump", "rate"], ["valve"], [], ["pump", "pump", "valve", "soil"]]


def test_documents_with_the_words_of_a_query_score_and_a_rare_word_counts_more():
    scores = bm25(DOCUMENTS, k1=1.2)
    pump, rate = scores(["pump"]), scores(["rate"])
    assert (pump > 0).tolist() == [True, False, False, True]
    assert rate[0] > pump[0]


def test_an_empty_or_unknown_query_and_an_empty_document_score_nothing():
    scores = bm25(DOCUMENTS, k1=1.5)
    assert not scores([]).any() and not scores(["sky"]).any()
    assert not bm25([[]], k1=1.5)([]).any()
