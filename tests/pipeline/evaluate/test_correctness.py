# ruff: noqa: RUF001 - Cyrillic letters look like Latin ones
"""Correctness: right answers in other words count, wrong ones do not, like them as they may be."""

import pytest

from pipeline.evaluate.measures.correctness import RIGHT, correctness
from pipeline.settings import ScreenSettings

LIMITS = (
    "The upload limit is 40 MB for each file. Administrators may raise it to 200 MB in the "
    "settings. Files are kept for 30 days. Deleted files cannot be restored. Locked accounts are "
    "opened by the help desk. The gateway does not start without a licence key. Backups run every "
    "night at 02:30 and are stored in Frankfurt."
)
STEPS = "1. Switch the machine off.\n2. Turn the filter anticlockwise.\n3. Lift it out."

RIGHT_AND_WRONG = [
    (
        "What is the upload limit?",
        "The limit is 40 MB for each file.",
        LIMITS,
        ["40 MB.", "Each file may have up to 40 MB."],
        ["It is 30 MB.", "It is 200 MB.", "It is set in the settings.", "I do not know.", ""],
    ),
    (
        "Can deleted files be restored?",
        "No, they cannot be restored.",
        LIMITS,
        ["No.", "No, that cannot be done."],
        ["Yes, they can be restored.", "Deleted files can be restored within 30 days."],
    ),
    (
        "How long does the battery last?",
        "The ER14505 lithium cell lasts about 5 years at an interval of 10 minutes.",
        "The ER14505 lithium cell lasts about 5 years at an interval of 10 minutes, or 2 at 1.",
        ["The battery lasts about 5 years.", "5 years"],
        ["The battery lasts 2 years.", "It is a lithium cell.", "Long."],
    ),
    (
        "How many probes can share one field bus?",
        "Up to 8 probes can share one field bus.",
        "",
        ["8", "Eight probes can share it."],
        ["One probe can share one field bus.", "Probes can share one field bus."],
    ),
    (
        "Who opens locked accounts?",
        "The help desk opens them.",
        LIMITS,
        ["They are opened by the help desk.", "The help desk."],
        ["The administrators open them."],
    ),
    (
        "When do backups run and where are they stored?",
        "Every night at 02:30, in Frankfurt.",
        LIMITS,
        ["Backups run nightly at 2:30 and are stored in Frankfurt."],
        ["Backups run every night at 02:30 and are stored in Berlin."],
    ),
    (
        "What colour is the gateway?",
        "The documents do not say.",
        LIMITS,
        ["I could not find that in the documents.", "The documents do not mention it."],
        ["The gateway is grey."],
    ),
    (
        "How do I clean the filter?",
        STEPS,
        "",
        ["1. Switch off the machine.\n2. Turn the filter anticlockwise.\n3. Lift it out.",
         "Switch the machine off. Turn the filter anticlockwise. Lift it out."],
        ["1. Lift it out.\n2. Turn the filter anticlockwise.\n3. Switch off the machine."],
    ),
    (
        "Extract name and limit as JSON.",
        '{"name": "gateway", "limit": 40}',
        "",
        ['```json\n{"limit": 40, "name": "Gateway"}\n```'],
        ['{"limit": 41, "name": "pump"}', "The name is gateway and the limit 40.", "{broken"],
    ),
    (
        "Wie groß darf eine Datei sein?",
        "Eine Datei darf 40 MB haben.",
        "Eine Datei darf 40 MB haben. Der Administrator kann 200 MB erlauben.",
        ["Höchstens 40 MB.", "40 MB"],
        ["Höchstens 200 MB.", "Das legt der Administrator fest.", "Dazu steht nichts im Dokument."],
    ),
    (
        "¿Cuándo se hacen las copias?",
        "Cada noche a las 02:30.",
        "",
        ["Las copias se hacen cada noche a las 2:30."],
        ["Se hacen los lunes a las 5:00."],
    ),
    ("文件的上限是多少?", "上限是40 MB。", "", ["每个文件40 MB。"], ["上限是80 MB。"]),
    (
        "Wie groß darf eine Datei sein?",
        "Eine Datei darf 40 MB haben.",
        "Eine Datei darf 40 MB haben.",
        ["Nicht mehr als 40 MB."],
        ["Nicht mehr als 200 MB."],
    ),
    (
        "Какой максимальный размер файла?",
        "Файл может иметь размер 40 МБ.",
        "Файл может иметь размер 40 МБ.",
        ["Не более 40 МБ."],
        ["Не более 200 МБ."],
    ),
    (
        "Quelle est la taille maximale d'un fichier ?",
        "Un fichier peut avoir 40 Mo.",
        "Un fichier peut avoir 40 Mo.",
        ["Pas plus de 40 Mo."],
        ["Pas plus de 200 Mo."],
    ),
    (
        "Write a short note that thanks Ms Blom for her help with the greenhouse.",
        "Dear Ms Blom, thank you for your kind support in the greenhouse this spring.",
        "",
        ["Dear Ms Blom, thank you for your kind support this spring! Yours, Peter"],
        ["The valve opens at 6 bar."],
    ),
    (
        "Which command lists the queues?",
        "`tuneloop review status`",
        "",
        ["Run `tuneloop review status` to list them."],
        ["Run `tuneloop models`."],
    ),
]  # fmt: skip

OTHERWISE = [
    (
        "When are reminders sent?",
        "Reminders are sent 14 days before the invoice is due.",
        ["14 days ahead of the due date.", "14 days before it is due."],
        ["14 days after the invoice is due.", "They are sent 14 days after the due date."],
    ),
    (
        "How many nodes can a cluster have?",
        "A cluster has at most 5 nodes.",
        ["Up to five nodes.", "A maximum of 5.", "Not more than 5 nodes."],
        ["At least 5 nodes.", "A minimum of 5 nodes."],
    ),
    (
        "What helps when requests are cut?",
        "Increase the timeout.",
        ["Raise the timeout.", "The timeout should be increased, as a decrease cuts more."],
        ["Decrease the timeout.", "Lower the timeout."],
    ),
    (
        "When do I save?",
        "Save the file before you restart.",
        ["Save it before the restart.", "Restart after saving the file."],
        ["Save the file after you restart."],
    ),
    (
        "Wie viele Knoten darf ein Verbund haben?",
        "Ein Verbund hat höchstens 5 Knoten.",
        ["Bis zu 5 Knoten.", "Höchstens fünf Knoten."],
        ["Mindestens 5 Knoten."],
    ),
    (
        "Wann wird gemahnt?",
        "Gemahnt wird 14 Tage nach der Fälligkeit.",
        ["14 Tage nach der Fälligkeit."],
        ["14 Tage vor der Fälligkeit."],
    ),
    ("Que faire ?", "Augmentez le délai.", ["Augmenter le délai."], ["Réduisez le délai."]),
    ("¿Qué hago?", "Active el filtro.", ["Activar el filtro."], ["Desactive el filtro."]),
    ("Che cosa si fa?", "Aprire la valvola.", ["Apra la valvola."], ["Chiudere la valvola."]),
    ("Quantos nós?", "No máximo 5 nós.", ["Até 5 nós."], ["Pelo menos 5 nós."]),
    ("Hoeveel knopen?", "Maximaal 5 knopen.", ["Hoogstens 5 knopen."], ["Minstens 5 knopen."]),
    ("Co zrobić?", "Włącz zawór.", ["Włączyć zawór."], ["Wyłącz zawór."]),
    ("Что сделать?", "Увеличьте давление.", ["Увеличить давление."], ["Уменьшите давление."]),
    ("保修多久？", "保修期是2年。", ["保修期为两年。"], ["保修期为三年。"]),
    ("保修期呢？", "一般情况下为2年。", ["保修期为2年。"], ["保修期为3年。"]),
    ("怎么办？", "请增加超时时间。", ["应该提高超时时间。"], ["请减少超时时间。"]),
    ("上限は？", "ファイルは最大40 MBです。", ["40 MBまでです。"], ["50 MBです。", "最低40 MB。"]),
    ("몇 개입니까?", "노드는 최대 5개입니다.", ["최대 5개입니다."], ["최소 5개입니다."]),
    (
        "When does the meeting start?",
        "It starts at 14:00.",
        ["At 2 p.m.", "2 pm", "At 14:00."],
        ["At 2 a.m.", "At 4 p.m.", "At 2:30 p.m."],
    ),
    (
        "How do I restart the server?",
        "Use `systemctl restart postfix` to restart it.",
        ["Run `systemctl restart postfix`.", "systemctl  restart postfix"],
        ["Run `systemctl stop postfix`.", "Restart it."],
    ),
    (
        "What does `--force` do?",
        "`--force` overwrites files that are newer.",
        ["It overwrites newer files."],
        ["It lists older folders."],
    ),
    (
        "Where are the logs stored?",
        "The logs are in /var/log/pumpd.",
        ["/var/log/pumpd", "They are stored in `/var/log/pumpd`."],
        ["/etc/pumpd", "/var/log", "In /var/log/pump."],
    ),
    (
        "When does night mode begin?",
        "Night mode begins at 22:00.",
        ["At 10 p.m.", "22:00", "From 10:00 PM."],
        ["At 10 a.m.", "It begins at 23:00."],
    ),
    (
        "What does it do then?",
        "It switches to manual mode.",
        ["It goes to manual mode."],
        ["It switches to automatic mode."],
    ),
    (
        "Wer darf den Schrank öffnen?",
        "Nur die Elektrofachkraft darf den Schrank öffnen.",
        ["Elektrofachkraft", "Nur eine Elektrofachkraft."],
        ["Der Betreiber.", "Nicht die Elektrofachkraft."],
    ),
    ("In which city is it?", "It stands in Frankfurt.", ["Frankfurt", "In Frankfurt."], ["Berlin"]),
]  # fmt: skip
"""Opposites, hours, Han numbers and commands; the source is the reference."""

CASES = [
    (question, reference, source, answer, right)
    for question, reference, source, good, bad in (
        *RIGHT_AND_WRONG,
        *((question, told, told, good, bad) for question, told, good, bad in OTHERWISE),
    )
    for right, answers in ((True, good), (False, bad))
    for answer in answers
]


@pytest.mark.parametrize(("question", "reference", "source", "answer", "right"), CASES)
def test_an_answer_is_right_by_what_it_says(question, reference, source, answer, right):
    found = correctness(answer, reference, question, source, ScreenSettings())
    assert (found >= RIGHT) is right and 0 <= found <= 1


@pytest.mark.parametrize("source", [True, False])
@pytest.mark.parametrize(
    ("reference", "right", "wrong"),
    [
        ("It expires after two weeks.", ["After 14 days.", "2 weeks"], ["After 14 hours.", "2 h"]),
        ("The delay is 5 ms.", ["5 ms", "The delay is 0.005 s."], ["5 s", "The delay is 5 s."]),
        ("It needs 1 GB.", ["1024 MB", "It needs 1 GB."], ["1 MB", "It needs 1 TB."]),
        ("It came on 5 March 2024.", ["On 2024-03-05.", "March 5, 2024"], ["On 5 May 2024."]),
        ("The fee is €20.", ["20 EUR", "€20"], ["$20", "The fee is 20 dollars."]),
        ("Support answers within one day.", ["Within 24 hours."], ["Within 24 days."]),
        ("Sie dauert drei Tage.", ["72 Stunden", "Nach 3 Tagen."], ["Drei Wochen.", "72 Tage"]),
    ],
)
def test_quantities_count_by_what_they_measure(reference, right, wrong, source):
    asked = "Wie lange?" if "Tage" in reference else "How much, and when?"
    for answer in right:
        assert (
            correctness(answer, reference, asked, reference * source, ScreenSettings()) >= RIGHT
        ), answer
    for answer in wrong:
        assert (
            correctness(answer, reference, asked, reference * source, ScreenSettings()) < RIGHT
        ), answer


@pytest.mark.parametrize("reference", [case[1] for case in RIGHT_AND_WRONG])
def test_a_reference_is_right_about_itself(reference):
    question, source = next(case[::2][:2] for case in RIGHT_AND_WRONG if case[1] == reference)
    assert correctness(reference, reference, question, source, ScreenSettings()) == 1.0


def test_one_side_of_a_reference_that_has_both_is_no_opposite():
    reference = "The private key stays on the server and the public key goes to the client."
    question, settings = "Where does the private key stay?", ScreenSettings()
    right, wrong = "The private key stays on the server.", "The public key stays on the server."
    assert correctness(right, reference, question, reference, settings) > 0
    assert correctness(wrong, reference, question, reference, settings) == 0


def test_what_an_open_task_says_besides_is_not_held_against_it():
    question, reference = "What helps?", "Rest for 5 minutes."
    settings = ScreenSettings()
    assert correctness("Rest for 5 minutes, 2 hours a day.", reference, question, "", settings) == 1
    assert correctness("Rest for 2 hours.", reference, question, "", settings) == 0


def test_steps_in_another_order_are_wrong_though_all_is_said():
    turned = "\n".join(STEPS.splitlines()[::-1])
    found = correctness(turned, STEPS, "How is it cleaned?", STEPS, ScreenSettings())
    assert found < RIGHT


def test_a_part_of_the_facts_is_a_part_of_the_truth():
    question, settings = "What does the kit hold?", ScreenSettings()
    reference = "It holds a pump, a valve, a hose and a clamp."
    assert correctness("A pump and a hose.", reference, question, "", settings) == 0.5
    assert correctness("It holds nails.", reference, question, "", settings) == 0


def test_words_of_the_question_are_no_facts():
    question, reference = "Where is the pump of the dishwasher?", "Below the tub."
    assert (
        correctness("The pump of the dishwasher.", reference, question, "", ScreenSettings()) == 0
    )
