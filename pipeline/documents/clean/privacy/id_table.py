"""Which ids of persons are known: country, check by python-stdnum, shapes, labels.

Numbers of companies (VAT ids, registers) are public and not here. The shapes and names are those
of the issuing authorities, as the modules of python-stdnum describe and check them.
"""

from collections.abc import Collection
from typing import NamedTuple


class IdKind(NamedTuple):
    """One id of one country."""

    country: str
    """ISO 3166."""
    module: str
    """Module of python-stdnum that checks it; empty: its shape is all there is to check."""
    shapes: tuple[str, ...]
    """``9`` a digit, ``A`` a letter, ``*`` either; separators may be missing or others."""
    labels: tuple[str, ...]
    """What people call it: words in small letters without dots and hyphens."""
    strong: str = ""
    """Exact shape that counts without a label, since checksum, date and separators together let
    fewer than one in a thousand random texts of that shape pass."""


GENERIC = (
    "national id", "national id number", "national identity number", "national identification",
    "national insurance number", "personal id number", "personal identity number",
    "personal identification number", "identity number", "identity card", "id card",
    "citizen id", "social security", "social security number", "social security no",
    "social insurance number", "tax id", "tax number", "tax identification", "taxpayer id",
    "tax payer id", "tin",
)  # fmt: skip
"""Labels in English that any of the ids may have."""

KINDS = (
    IdKind("AR", "ar.dni", ("99.999.999",), ("dni", "documento nacional de identidad")),
    IdKind("AR", "ar.cuit", ("99-99999999-9",), ("cuil", "cuit")),
    IdKind("AT", "at.vnr", ("9999 999999",), ("svnr", "sozialversicherungsnummer", "vsnr")),
    IdKind("AU", "au.tfn", ("999 999 999",), ("tfn", "tax file number")),
    IdKind(
        "BE", "be.nn", ("99.99.99-999.99",),
        ("rijksregisternummer", "rrn", "niss", "insz", "numéro national", "registre national"),
        "99.99.99-999.99",
    ),
    IdKind("BG", "bg.egn", ("9999999999",), ("егн", "egn")),
    IdKind("BR", "br.cpf", ("999.999.999-99",), ("cpf",), "999.999.999-99"),
    IdKind("CA", "ca.sin", ("999-999-999",), ("sin", "social insurance", "nas")),
    IdKind(
        "CH", "ch.ssn", ("999.9999.9999.99",), ("ahv", "ahv nummer", "avs", "numéro avs"),
        "999.9999.9999.99",
    ),
    IdKind("CL", "cl.rut", ("99.999.999-*", "9.999.999-*"), ("rut", "run")),
    IdKind(
        "CN", "cn.ric", ("99999999999999999*",),
        ("身份证", "身份证号", "身分證"),
        "99999999999999999*",
    ),
    IdKind("CZ", "cz.rc", ("999999/9999",), ("rodné číslo", "rč")),
    IdKind(
        "DE", "de.idnr", ("99 999 999 999",),
        ("idnr", "steuer id", "steueridentifikationsnummer", "steuerliche identifikationsnummer",
         "steuer identifikationsnummer", "identifikationsnummer"),
    ),
    IdKind("DK", "dk.cpr", ("999999-9999",), ("cpr", "cpr nummer", "cpr nr", "personnummer")),
    IdKind("EE", "ee.ik", ("99999999999",), ("isikukood",)),
    IdKind("ES", "es.dni", ("99999999-A", "99.999.999-A"), ("dni", "nif")),
    IdKind("ES", "es.nie", ("A-9999999-A",), ("nie", "nif")),
    IdKind(
        "FI", "fi.hetu", ("999999-999*", "999999A999*", "999999+999*"),
        ("hetu", "henkilötunnus", "personbeteckning"), "999999-999A",
    ),
    IdKind(
        "FR", "fr.nir", ("9 99 99 ** 999 999 99",),
        ("nir", "sécurité sociale", "numéro de sécurité sociale",
         "numéro de sécu", "n° sécu", "sécu"),
        "9 99 99 99 999 999 99",
    ),
    IdKind("FR", "fr.nif", ("99 99 999 999 999",), ("numéro fiscal", "spi", "nif")),
    IdKind("GB", "gb.nhs", ("999 999 9999",), ("nhs", "nhs number", "nhs no")),
    IdKind("GB", "gb.utr", ("99999 99999",), ("utr", "unique taxpayer reference")),
    IdKind("GB", "", ("AA 99 99 99 A",), ("nino", "national insurance", "ni number", "ni no")),
    IdKind("GR", "gr.amka", ("99999999999",), ("αμκα", "amka")),
    IdKind("HR", "hr.oib", ("99999999999",), ("oib",)),
    IdKind("IE", "ie.pps", ("9999999A", "9999999AA"), ("pps", "ppsn", "pps number", "pps no")),
    IdKind(
        "IL", "il.idnr", ("9999999-9-9", "999999999"),
        ("teudat zehut", "תעודת זהות"),
    ),
    IdKind(
        "IN", "in_.aadhaar", ("9999 9999 9999",),
        ("aadhaar", "aadhar", "uidai", "आधार"),
    ),
    IdKind("IS", "is_.kennitala", ("999999-9999",), ("kennitala", "kt")),
    IdKind(
        "IT", "it.codicefiscale", ("AAAAAA99A99A999A",), ("codice fiscale", "cf"),
        "AAAAAA99A99A999A",
    ),
    IdKind(
        "JP", "jp.in_", ("9999 9999 9999",),
        ("マイナンバー", "個人番号", "my number"),
    ),
    IdKind(
        "KR", "kr.rrn", ("999999-9999999",),
        ("주민등록번호", "resident registration number", "rrn"),
    ),
    IdKind("LT", "lt.asmens", ("99999999999",), ("asmens kodas",)),
    IdKind("LV", "lv.pvn", ("999999-99999",), ("personas kods",)),
    IdKind("MX", "mx.curp", ("AAAA999999AAAAAA*9",), ("curp",), "AAAA999999AAAAAA*9"),
    IdKind("MX", "mx.rfc", ("AAAA999999***",), ("rfc",)),
    IdKind("MY", "my.nric", ("999999-99-9999",), ("nric", "mykad", "no kad pengenalan")),
    IdKind(
        "NL", "nl.bsn", ("9999.99.999", "999999999"),
        ("bsn", "burgerservicenummer", "sofinummer"),
    ),
    IdKind(
        "NO", "no.fodselsnummer", ("999999 99999",),
        ("fødselsnummer", "personnummer", "fnr"),
    ),
    IdKind("NZ", "nz.ird", ("99-999-999", "999-999-999"), ("ird", "ird number")),
    IdKind("PE", "pe.cui", ("99999999-*",), ("dni", "cui")),
    IdKind("PK", "pk.cnic", ("99999-9999999-9",), ("cnic", "nadra")),
    IdKind("PL", "pl.pesel", ("99999999999",), ("pesel",)),
    IdKind("PT", "pt.nif", ("999 999 999",), ("nif", "contribuinte", "número de contribuinte")),
    IdKind("PT", "pt.cc", ("99999999 9 **9",), ("cartão de cidadão", "cartão do cidadão")),
    IdKind("RO", "ro.cnp", ("9999999999999",), ("cnp", "cod numeric personal")),
    IdKind("RU", "ru.inn", ("999999999999",), ("инн", "inn")),
    IdKind("SE", "se.personnummer", ("999999-9999", "99999999-9999"), ("personnummer", "pnr")),
    IdKind("SI", "si.emso", ("9999999999999",), ("emšo", "emso")),
    IdKind("SK", "sk.rc", ("999999/9999",), ("rodné číslo", "rč")),
    IdKind(
        "TH", "th.pin", ("9-9999-99999-99-9",),
        ("บัตรประชาชน",), "9-9999-99999-99-9",
    ),
    IdKind("TR", "tr.tckimlik", ("99999999999",), ("tc kimlik", "tckn", "kimlik no", "kimlik")),
    IdKind(
        "UA", "ua.rntrc", ("9999999999",),
        ("рнокпп", "іпн", "rntrc"),
    ),
    IdKind("US", "us.ssn", ("999-99-9999",), ("ssn", "ssns", "social security")),
    IdKind("US", "us.itin", ("999-99-9999",), ("itin",)),
    IdKind("ZA", "za.idnr", ("999999 9999 99 9",), ("id number", "sa id", "rsa id")),
)  # fmt: skip

COUNTRIES = tuple(dict.fromkeys(kind.country for kind in KINDS))
"""Countries of the table."""


def countries_of(wanted: Collection[str]) -> tuple[str, ...]:
    """Return the countries that the setting ``clean.id_countries`` means.

    Raises:
        ValueError: the table has no ids of one of them.
    """
    unknown = sorted(set(wanted) - {*COUNTRIES, "all"})
    if unknown:
        raise ValueError(
            f"id_countries: no ids are known of {', '.join(unknown)}; expected all, or some of "
            f"{', '.join(COUNTRIES)}"
        )
    return COUNTRIES if "all" in wanted else tuple(wanted)
