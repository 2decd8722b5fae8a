"""Passages that say the same in other words, and passages that only look as if they did.

``python -m tests.pipeline.dedup.passages`` prints how similar their embeddings are: the default of
``semantic.threshold`` comes from there.
"""

from typing import NamedTuple


class Pair(NamedTuple):
    """Two passages and what is different about them."""

    about: str
    one: str
    other: str


SAME = [
    Pair(
        "mostly the same words in another order",
        "Before the first frost, drain the outdoor supply line. Close the main valve, open every "
        "drain tap, and leave the taps open until spring. Water that stays in the line freezes, "
        "expands and splits the pipe. Check the lowest point of the line with care, since the last "
        "water collects there and is easily overlooked.",
        "Drain the outdoor supply line before the first frost comes. Open every drain tap after "
        "you have closed the main valve, and until spring leave the taps open. Take care to check "
        "the lowest point of the line: the last water collects there and is easily overlooked. If "
        "water stays in the line it freezes, expands and splits the pipe.",
    ),
    Pair(
        "some words replaced by synonyms",
        "The humidity sensor must hang in moving air, away from direct sun and from the outlet of "
        "a heater. A sensor in a still corner reads too high and the vents open for no reason. "
        "Clean the filter cap once a month with distilled water and let it dry before it goes back "
        "on the sensor.",
        "The humidity probe has to hang where air moves, away from direct sunlight and the outlet "
        "of a heater. In a still corner the probe shows too high a value and the vents open "
        "without reason. Each month wash the filter cap with distilled water, and let it dry "
        "before you put it back on the probe.",
    ),
    Pair(
        "sentences joined and split",
        "A returned device is tested in our workshop. If the fault is covered by the warranty, we "
        "repair or replace it free of charge and pay for the return. If it is not covered, you get "
        "an estimate first. Nothing is repaired before you accept the estimate, and a device that "
        "you do not want repaired is sent back at your expense.",
        "We test each returned device in our workshop. Where the warranty covers the fault, repair "
        "or replacement is free of charge and we pay for the return; where it does not, you first "
        "get an estimate, and no repair starts before you accept it. If you do not want the device "
        "repaired, it is sent back at your expense.",
    ),
    Pair(
        "told in another voice",
        "To share a site with a colleague, open the list of members and choose Invite. Enter the "
        "address of the colleague and select a role. Viewers see readings and alarms, operators "
        "also change setpoints, and owners manage members and billing. The invitation is sent at "
        "once and can be withdrawn until it is accepted.",
        "A site can be shared with a colleague: open the members list, choose Invite, enter the "
        "colleague's address and select a role. Readings and alarms are visible to viewers, "
        "setpoints can also be changed by operators, and members and billing are managed by "
        "owners. The invitation goes out at once; until it is accepted it can be withdrawn.",
    ),
    Pair(
        "written anew with other words",
        "When the controller loses its network connection it goes on with the last programs and "
        "stores readings in its own memory. As soon as the connection is back, the stored readings "
        "are uploaded, oldest first, so that the charts have no gap. Alarms that occurred in "
        "between are sent late and marked as delayed.",
        "An offline controller keeps running the programs it knows and records measurements "
        "locally. After reconnecting, it transfers the recorded measurements in order of age, "
        "which leaves the graphs complete. Any alerts raised while it was offline arrive "
        "afterwards with a note that they are delayed.",
    ),
    Pair(
        "shortened",
        "Seedlings need light, warmth and even moisture. Put the trays on the heated bench, cover "
        "them until the first leaves show, and water from below so that the surface stays dry. Too "
        "much water is the most frequent mistake: the stems rot at the soil and the seedlings fall "
        "over within a day. Take the cover away as soon as most of the seeds have come up.",
        "Seedlings need light, warmth and even moisture. Keep the trays covered on the heated "
        "bench until the first leaves show, water from below, and take the cover away when most "
        "seeds have come up. Most frequent mistake: too much water, which rots the stems at the "
        "soil so that the seedlings fall over.",
    ),
    Pair(
        "with the same numbers",
        "The pump P-20 delivers 40 litres a minute at 2.5 bar. Install a strainer with openings of "
        "at most 0.3 mm before it, since sand wears the impeller. The motor switches off at 95 °C "
        "and starts again by itself when it has cooled. After three stops within an hour it stays "
        "off and alarm A22 is raised.",
        "At 2.5 bar, pump P-20 delivers 40 litres each minute. Since sand wears its impeller, a "
        "strainer with openings of 0.3 mm at most has to be installed before the pump. At 95 °C "
        "the motor switches itself off, and it starts again when cool. When it stops three times "
        "within one hour, it stays off and raises alarm A22.",
    ),
]  # fmt: skip
"""One document is enough of each pair."""

SIBLINGS = [
    Pair(
        "another model",
        "The pump P-20 delivers water to the drip lines. Install a strainer before it, since sand "
        "wears the impeller. The motor switches off when it is too hot and starts again by itself.",
        "The pump P-35 delivers water to the drip lines. Install a strainer before it, since sand "
        "wears the impeller. The motor switches off when it is too hot and starts again by itself.",
    ),
    Pair(
        "another limit",
        "The pump delivers 40 litres a minute at 2.5 bar. Install a strainer before it, since sand "
        "wears the impeller. The motor switches off at 95 °C and starts again when it has cooled.",
        "The pump delivers 40 litres a minute at 2.5 bar. Install a strainer before it, since sand "
        "wears the impeller. The motor switches off at 85 °C and starts again when it has cooled.",
    ),
    Pair(
        "another setting",
        "Set `retry_interval` to the time between two attempts. The controller reads it when it "
        "starts; a change has no effect on a program that runs already.",
        "Set `retry_limit` to the time between two attempts. The controller reads it when it "
        "starts; a change has no effect on a program that runs already.",
    ),
    Pair(
        "another option of a command",
        "Call the tool with --verify to compare the backup with what is on the device. It prints "
        "a line for each file that differs and ends with an error when there is one.",
        "Call the tool with --restore to compare the backup with what is on the device. It prints "
        "a line for each file that differs and ends with an error when there is one.",
    ),
    Pair(
        "another abbreviation",
        "The readings leave the device over MQTT. Enter host and port of the broker, choose a "
        "certificate, and press test: a green mark shows that the broker has answered.",
        "The readings leave the device over AMQP. Enter host and port of the broker, choose a "
        "certificate, and press test: a green mark shows that the broker has answered.",
    ),
    Pair(
        "another unit",
        "The line may be under a pressure of 4 bar at most. Open the relief valve slowly.",
        "The line may be under a pressure of 4 psi at most. Open the relief valve slowly.",
    ),
    Pair(
        "the contrary",
        "Open the relief valve while the line is under pressure. Then close the main valve and "
        "wait until the gauge has come down before you take the cover away.",
        "Do not open the relief valve while the line is under pressure. Then close the main valve "
        "and wait until the gauge has come down before you take the cover away.",
    ),
    Pair(
        "another name",
        "The Fernwick controller has a touchscreen and two slots for cards. It runs on mains power "
        "and keeps its clock for a week without. Mount it upright, away from water.",
        "The Aldermoor controller has a touchscreen and two slots for cards. It runs on mains "
        "power and keeps its clock for a week without. Mount it upright, away from water.",
    ),
]  # fmt: skip
"""A fact is different: both have to stay, however similar the words."""

RELATED = [
    Pair(
        "two alarms of one page layout",
        "This alarm is raised when a sensor has not answered for a while. Look whether its cable "
        "is loose or its battery empty. Replace the battery and wait for the next reading. If the "
        "alarm does not go away, the radio of the gateway may be out of reach: move it closer.",
        "This alarm is raised when a valve has not reached its position for a while. Look whether "
        "its cable is loose or dirt blocks the seat. Clean the seat and wait for the next cycle. "
        "If the alarm does not go away, the motor of the valve may be worn: replace it.",
    ),
    Pair(
        "heating and ventilation",
        "Heating follows the measured temperature of the zone. Below the setpoint the boiler is "
        "asked for heat, and the mixing valve opens step by step. The night setpoint lowers the "
        "temperature after sunset to save energy and lets it rise before sunrise.",
        "Ventilation follows the measured temperature of the zone. Above the setpoint the roof "
        "vents open step by step, on the lee side first. Rain and strong wind close the vents, "
        "whatever the temperature is, and the fans take over where there are any.",
    ),
    Pair(
        "two policies",
        "We keep readings for as long as your contract lasts. When it ends you can export them for "
        "a month, and after that they are deleted, from the backups as well. Billing records are "
        "kept for longer, since the law asks for it.",
        "We keep your personal data as secret as the law asks for. Staff see it only where their "
        "work needs it, and each access is logged. You can ask at any time what we hold about you, "
        "and have it corrected or deleted unless a law forbids it.",
    ),
    Pair(
        "lemon and tomato",
        "Tomatoes want full sun and a stake. Pinch out the side shoots each week and water at the "
        "foot, never over the leaves. Pick the fruit when it is red all over; it goes on ripening "
        "on the sill.",
        "Lemons want full sun and a large pot. Prune the long shoots each spring and water when "
        "the soil is dry, never a little each day. Pick the fruit when it comes off with a turn; "
        "it does not ripen on the sill.",
    ),
]  # fmt: skip
"""About neighbouring things in similar words: both have to stay."""


def main() -> None:
    """Print the similarity of each pair."""
    import polars as pl

    from pipeline.dedup.semantic import embed
    from pipeline.dedup.specifics import facts, same_facts, same_wording

    for name, pairs in (("same", SAME), ("sibling", SIBLINGS), ("related", RELATED)):
        for pair in pairs:
            one, other = embed(pl.Series([pair.one, pair.other]))
            named, other_named = facts(pair.one), facts(pair.other)
            veto = "" if same_facts(named, other_named) else ", facts differ"
            veto += ", one wording" if same_wording(named, other_named) else ""
            print(f"{name:<9}{float(one @ other):.3f}  {pair.about}{veto}")


if __name__ == "__main__":
    main()
