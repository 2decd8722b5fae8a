import pytest

from pipeline.pairs.weak_english.stems import PLAIN, stems


@pytest.mark.parametrize(
    ("sentence", "first"),
    [
        ("The factory address of the FW-T3 is 1.", "What is the factory address of the FW-T3"),
        ("The FW-200 has two fans and stores up to 40 programs.", "What does the FW-200 have"),
        ("The FW-G1 serves up to 32 sensors.", "How many sensors does the FW-G1 serve"),
        ("The restore takes about 2 minutes.", "How long does the restore take"),
        ("Alarm code A17 means that a sensor is lost.", "What does alarm code A17 mean"),
        ("Alarm A52 warns the user of a full log.", "What does Alarm A52 warn"),
        ("The FW-C2 should be mounted at half crop height.", "Where should the FW-C2 be mounted"),
        ("The backup is encrypted with a password.", "How is the backup encrypted"),
        ("The FW-200 uploads its log every 5 minutes.", "How often does the FW-200 upload its log"),
        (
            "The FW-200 closes the valve and raises A26 when the air exceeds 2,000 ppm.",
            "When does the FW-200 close the valve",
        ),
        ("The download has a size of about 180 MB.", "What size does the download have"),
        ("FW-S1 sensors receive updates by radio.", "What do FW-S1 sensors receive"),
        ("The dealer reported a fault of relay R2.", "What did the dealer report"),
        ("A cable of 5 m belongs to the scope of supply.", "What does a cable of 5 m belong to"),
        ("The supply voltage must be above 22.5 V.", "What must the supply voltage be"),
        ("Lamps are switched off when the sun shines.", "When are lamps switched off"),
        ("An account is locked for 30 minutes.", "How long is an account locked"),
        ("The message is sent within 2 minutes.", "How quickly is the message sent"),
        ("The lamp is replaced after 9,000 hours.", "When is the lamp replaced"),
        ("The program is suited to vegetables.", "What is the program suited to"),
        ("Water needs about 2.4 millimoles of acid.", "What does water need"),
        ("The code consists of twelve characters.", "What does the code consist of"),
        ("The button is hardly visible in the dark theme.", "Where is the button hardly visible"),
        ("The role Grower may also change setpoints.", "What may the role Grower change"),
        ("The delay of R1 and R2 is 180 seconds.", "What is the delay of R1 and R2"),
        ("A site with six blocks needs the FW-P48.", "What does a site with six blocks need"),
        ("The FW-G1 sends updates to 32 sensors.", "What does the FW-G1 send"),
        ("Code 3 stands for coir.", "What does Code 3 stand for"),
        ("The parcel with ten sets left on 31 January.", "What"),
        ("One FW-T3 is sufficient for about 800 m².", "What is one FW-T3 sufficient for"),
    ],
)  # fmt: skip
def test_the_question_fits_what_the_sentence_tells(sentence, first):
    stem = stems(sentence, frozenset({"Alarm"}) if "A52" in sentence else frozenset(), 4)[0]
    assert stem.text == first
    assert stem.complete == (first not in PLAIN)


def test_a_condition_is_asked_about_as_well():
    found = stems("Relay R8 opens when the alarm returns.", frozenset(), 4)
    assert "What happens when the alarm returns" in [stem.text for stem in found]


def test_a_name_keeps_its_capital_and_an_ordinary_word_does_not():
    assert stems("Fernwick recommends a clip.", frozenset({"Fernwick"}), 1)[0].text == (
        "What does Fernwick recommend")  # fmt: skip
    assert stems("Backups need 3 GB of space.", frozenset(), 1)[0].text == "What do backups need"


def test_what_no_rule_fits_gets_plain_question_words():
    found = stems("Assign the sensor to a zone and press Save.", frozenset(), 3)
    assert [stem.text for stem in found] == list(PLAIN)
    assert not any(stem.complete for stem in found)


def test_never_more_than_asked_for():
    sentence = "The FW-200 stores up to 40 irrigation programs when the card is full."
    assert [len(stems(sentence, frozenset(), limit)) for limit in (1, 2, 3, 4)] == [1, 2, 3, 4]
