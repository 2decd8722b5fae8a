"""Drift checks as the monitor leaves them: one that calls for a retrain, and one that is calm."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 5, 12, 5, tzinfo=UTC)
REFERENCE, CHAMPION = "9b1f3c7ae0d24c55", "77aa01c2e0d9b3f1"


def spread(low, median, high):
    return {"low": low, "median": median, "high": high}


def shift(name, reference, window, effect, threshold, moved, before=None, after=None, p=None):
    return {
        "name": name,
        "reference": reference,
        "window": window,
        "spread_reference": before,
        "spread_window": after,
        "effect": effect,
        "threshold": threshold,
        "p_value": (0.001 if moved else 0.42) if p is None else p,
        "moved": moved,
    }


def gram(text, before, after, level="word"):
    weight = (after - before) * 4
    return {
        "text": text,
        "level": level,
        "weight": weight,
        "share_reference": before,
        "share_window": after,
    }


def signal(name, reference, window, rows, threshold, worse, low=None, high=None):
    return {
        "name": name,
        "reference": reference,
        "window": window,
        "rows_reference": rows[0],
        "rows_window": rows[1],
        "low": low,
        "high": high,
        "p_value": 0.003 if worse else 0.4,
        "threshold": threshold,
        "worse": worse,
    }


DOCUMENTS = [
    shift(
        "characters",
        2010.0,
        1020.0,
        0.71,
        0.24,
        True,
        spread(310, 1834, 5210),
        spread(150, 910, 2400),
    ),
    shift("tokens", 522.0, 401.0, 0.31, 0.23, True, spread(80, 471, 1302), spread(60, 388, 900)),
    shift(
        "type_token_ratio",
        0.63,
        0.41,
        1.62,
        0.22,
        True,
        spread(0.51, 0.63, 0.78),
        spread(0.31, 0.41, 0.55),
    ),
    shift(
        "compression_ratio",
        0.48,
        0.47,
        0.09,
        0.22,
        False,
        spread(0.39, 0.48, 0.61),
        spread(0.38, 0.47, 0.6),
    ),
    shift(
        "digit_share",
        0.021,
        0.024,
        0.12,
        0.23,
        False,
        spread(0.0, 0.014, 0.07),
        spread(0.0, 0.017, 0.08),
    ),
    shift(
        "non_ascii_share",
        0.002,
        0.018,
        1.1,
        0.25,
        True,
        spread(0.0, 0.001, 0.008),
        spread(0.004, 0.017, 0.034),
    ),
    shift(
        "code_share", 0.08, 0.07, 0.05, 0.23, False, spread(0.0, 0.0, 0.42), spread(0.0, 0.0, 0.38)
    ),
    shift("null loss", 0.0, 0.01, 0.01, 0.03, False),
    shift("category=markdown", 0.71, 0.35, 0.36, 0.09, True),
    shift("category=html", 0.24, 0.62, 0.38, 0.09, True),
    shift("category=text", 0.05, 0.03, 0.02, 0.04, False),
    shift("language=en", 0.98, 0.56, 0.42, 0.04, True),
    shift("language=de", 0.01, 0.43, 0.42, 0.04, True),
]
PAIRS = [
    shift("tokens", 51.0, 55.0, 0.11, 0.24, False, spread(11, 48, 120), spread(12, 51, 131)),
    shift(
        "type_token_ratio",
        0.88,
        0.86,
        0.13,
        0.24,
        False,
        spread(0.7, 0.89, 1.0),
        spread(0.69, 0.87, 1.0),
    ),
    shift(
        "digit_share",
        0.03,
        0.031,
        0.04,
        0.24,
        False,
        spread(0.0, 0.02, 0.09),
        spread(0.0, 0.02, 0.1),
    ),
    shift("loss", 1.93, 2.31, 0.62, 0.25, True, spread(0.9, 1.86, 3.2), spread(1.1, 2.27, 3.7)),
    shift("category=grounded", 0.9, 0.88, 0.02, 0.06, False),
]
GRAMS = [
    gram("wärmepumpe", 0.0, 0.41),
    gram("heat pump", 0.02, 0.38),
    gram("die", 0.01, 0.43),
    gram("refrigerant circuit pressure", 0.03, 0.27),
    gram("inlet valve", 0.52, 0.11),
    gram("filter", 0.61, 0.28),
    gram("chlorine", 0.33, 0.04),
    gram(" der", 0.0, 0.39, "character"),
    gram("ung ", 0.01, 0.36, "character"),
]
EVIDENCE = {
    "id": "e3b0c44298fc1c14",
    "at": "2026-01-31T12:05:07Z",
    "reference": REFERENCE,
    "model": CHAMPION,
    "alpha": 0.01,
    "kinds": [
        {
            "kind": "document",
            "rows_reference": 386,
            "rows_window": 200,
            "features": DOCUMENTS,
            "two_sample": {
                "auc": 0.874,
                "threshold": 0.62,
                "p_value": 0.001,
                "drifted": True,
                "grams": GRAMS,
            },
            "shape": {
                "p_value": 0.001,
                "drifted": True,
                "features": ["type_token_ratio", "non_ascii_share", "language=de"],
            },
            "far": ["doc-0412", "doc-0399", "doc-0405"],
        },
        {
            "kind": "pair",
            "rows_reference": 246,
            "rows_window": 71,
            "features": PAIRS,
            "two_sample": {"auc": 0.571, "threshold": 0.634, "p_value": 0.14, "drifted": False},
            "shape": {"p_value": 0.21, "drifted": False},
        },
    ],
    "loss": signal("loss", 1.93, 2.22, (246, 71), 0.05, True, 0.11, 0.46),
    "performance": signal("performance", 1.91, 2.29, (47, 38), 0.1, True, 0.14, 0.61),
    "rejected": signal("rejected", 0.021, 0.043, (140, 46), 0.05, False, -0.04, 0.11),
    "quarantined": signal("quarantined", 0.012, 0.02, (400, 204), 0.3, False, -0.02, 0.04),
    "duplicates": signal("duplicates", 0.03, 0.021, (400, 204), 0.1, False, -0.04, 0.03),
}
DECISION = {
    "id": "e3b0c44298fc1c14",
    "at": "2026-01-31T12:05:09Z",
    "action": "retrain",
    "state": "confirmed",
    "drifted": True,
    "auc": 0.874,
    "reasons": [
        {
            "code": "words",
            "values": {
                "kind": "document",
                "auc": 0.874,
                "threshold": 0.62,
                "p": 0.001,
                "more": ["wärmepumpe", "heat pump", "die"],
                "less": ["inlet valve", "chlorine"],
            },
        },
        {
            "code": "shape",
            "values": {
                "kind": "document",
                "p": 0.001,
                "features": {"named": [["type_token_ratio", 0.63, 0.41]], "rest": 0},
            },
        },
        {"code": "windows", "values": {"hits": 2, "windows": 3}},
    ],
    "new_rows": 264,
    "next_retrain_at": None,
    "reference": REFERENCE,
    "model": CHAMPION,
}


def decision(at, action, auc, **more):
    states = {"ok": "ok", "watch": "suspect"}
    return (
        DECISION
        | {
            "id": f"check{at:04}",
            "at": (START + timedelta(hours=3 * at)).isoformat(),
            "action": action,
            "state": states.get(action, "confirmed"),
            "drifted": action in ("watch", "review", "retrain"),
            "auc": auc,
            "reasons": [f"check {at} said {action}"],
        }
        | more
    )


def history(count):
    """Return decisions that rise into drift, are reviewed, retrain and start over."""
    found = []
    for at in range(count):
        phase, older = at % 40, f"old{at // 40:04}"
        noise = ((at * 37) % 11 - 5) / 200
        if phase == 21:
            found.append(decision(at, "broken", None, reference=older))
        elif phase < 34:
            found.append(decision(at, "ok", 0.53 + noise, reference=older))
        elif phase < 36:
            found.append(decision(at, "watch", 0.66 + noise, reference=older))
        elif phase < 39:
            found.append(decision(at, "review", 0.75 + noise, reference=older))
        else:
            found.append(decision(at, "retrain", 0.82 + noise, reference=older))
    return found


RUN = {
    "id": "20260131T120500Z-monitor",
    "flow": "monitor",
    "started_at": "2026-01-31T12:05:00Z",
    "seconds": 38.2,
    "command": "tuneloop monitor",
    "exit": 0,
}
RETRAIN = {
    "reason": "the words of documents tell new from old: AUC 0.87 (above 0.62), p 0.001; more: "
    "wärmepumpe, heat pump, die; less: inlet valve, chlorine",
    "evidence_id": DECISION["id"],
    "outcome": "promoted",
    "champion_before": CHAMPION,
    "champion_after": "c0ffee00d1ce0001",
    "new_rows": 264,
    "next_retrain_at": "2026-02-07T12:31:00Z",
}


def still(value):
    """Return evidence in which nothing fired: windows as the reference, nothing moved."""
    if isinstance(value, list):
        return [still(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: still(item) for key, item in value.items()}
    if "spread_window" in found:
        found |= {"window": found["reference"], "spread_window": found["spread_reference"]}
        found |= {"effect": 0.04, "p_value": 0.6, "moved": False}
    if "drifted" in found:
        found |= {"drifted": False, "p_value": 0.47}
        found |= {"auc": 0.53, "grams": []} if "auc" in found else {"features": []}
    if "worse" in found:
        found |= {"worse": False, "window": found["reference"], "low": -0.06, "high": 0.05}
    return found


def drifted():
    """Return the report of a monitor run that decided on a retrain."""
    drift = {"evidence": EVIDENCE, "decision": DECISION, "history": [*history(38), DECISION]}
    return {"run": RUN, "drift": drift}


def calm():
    """Return the report of a monitor run in which nothing happened."""
    verdict = decision(
        39, "ok", 0.53, reasons=["no test fired: new texts look like the reference"], drifted=False
    )
    before = [decision(at, "ok", 0.5 + at % 7 / 100) for at in range(12)]
    drift = {"evidence": still(EVIDENCE), "decision": verdict, "history": [*before, verdict]}
    return {"run": RUN, "drift": drift}
