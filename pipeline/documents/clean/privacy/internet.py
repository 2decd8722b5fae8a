"""Addresses of people and machines: e-mail and public IP addresses."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import chain

from pipeline.documents.clean.privacy.spans import LETTER, Found, before

_ANY = f"{LETTER}0-9"
_LOCAL = re.compile(  # RFC 5321: 64 characters
    rf"(?<![{_ANY}_.%+-])[{_ANY}](?:[{_ANY}_.%+'-]{{0,62}}[{_ANY}_%+-])?\Z"
)
_DOMAIN = re.compile(
    rf"@(?:[{_ANY}](?:[{_ANY}-]{{0,61}}[{_ANY}])?\.){{1,8}}(?:[{LETTER}]{{2,24}}|xn--[a-z0-9-]{{2,59}})"
    rf"(?![{_ANY}_@(-]|\.[{_ANY}_])"
)
_NOT_A_DOMAIN = (
    *("png", "jpg", "jpeg", "gif", "svg", "webp", "js", "css"),
    *("service", "socket", "timer", "mount", "slice"),
)
"""``logo@2x.png`` is a file and ``getty@tty1.service`` a unit of systemd."""
_ALGORITHM = re.compile(r"[a-z]+[0-9a-z-]*-[0-9a-z-]+@(?:openssh\.com|libssh\.org)")
"""``hmac-sha2-256-etm@openssh.com`` names an algorithm (RFC 4251, section 6)."""
_IPV4 = re.compile(rf"\d(?<![{_ANY}_.]\d)\d{{0,2}}(?:\.\d{{1,3}}){{3}}(?![{_ANY}_]|\.[{_ANY}])")
_IPV6 = re.compile(
    rf"[23](?<![{_ANY}_:.][23])[0-9A-Fa-f]{{3}}(?::{{1,2}}[0-9A-Fa-f]{{1,4}}){{1,7}}(?:::)?"
    rf"(?![{_ANY}_]|:[{_ANY}:])"
)
"""2000::/3, the one block of public addresses that IANA gives out."""
_RESOLVERS = {
    *("1.1.1.1", "1.0.0.1", "2606:4700:4700::1111", "2606:4700:4700::1001"),
    *("8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844"),
    *("9.9.9.9", "2620:fe::fe"),
}
"""Name servers for everyone, in each guide to networks: nobody's personal data."""
_ADDRESS_WORD = (
    r"ip|ipv4|ips|addr|address|addresses|host|hosts|hostname|server|servers|nameserver|dns|ping"
    r"|ssh|telnet|gateway|client|clients|peer|router|subnet|inet|listen|bind|endpoint"
    r"|adresse|dirección|indirizzo|endereço|adres|serveur|servidor|адрес"
)
_VERSION_WORD = (
    r"v|ver|vers|version|versions|versie|versión|versão|versione|wersja|версия"
    r"|oid|oids|release|releases|rel|rev|revision|build|firmware|fw|bios|driver|kernel|patch|update"
    r"|upgrade|upgraded|upgrading|software|bootloader|stand|ausgabe|section|sections|chapter"
    r"|table|figure|clause|appendix|abschnitt|kapitel|section|sección|capítulo|§"
)
_WORD_BEFORE = re.compile(
    rf"(?<![{LETTER}])(?:(?P<address>{_ADDRESS_WORD})|(?P<version>{_VERSION_WORD}))(?![{LETTER}])"
    r"|(?P<address_cjk>\u5730\u5740|\u30a2\u30c9\u30ec\u30b9|\u670d\u52a1\u5668|\u30b5\u30fc\u30d0\u30fc|\uc8fc\uc18c)"
    r"|(?P<version_cjk>\u7248\u672c|\u30d0\u30fc\u30b8\u30e7\u30f3|\ubc84\uc804)",
    re.IGNORECASE,
)
_BEFORE = 40
"""Characters of the same line in which a word says what four numbers are."""
_LIKE_ADDRESS = re.compile(r"(?:://|@|\binet6? |\baddr:)\Z")
_LIKE_VERSION = re.compile(r"(?:[-_/\\=~^]|[<>] ?)\Z")
"""``package-1.2.3.4``, ``/opt/tool/1.2.3.4``, ``tool>=1.2.3.4``."""


def find_emails(text: str) -> Iterator[Found]:
    """Find e-mail addresses; of repositories, files and algorithms that look alike, none."""
    for domain in _DOMAIN.finditer(text):
        at, end = domain.span()
        local = _LOCAL.search(text[max(0, at - 66) : at])
        if local:
            start = at - len(local[0])
            value = text[start:end].lower()
            # git@host:path is the address of a repository.
            clone = value.startswith("git@") and text[end : end + 1] == ":"
            if not (
                clone or value.rpartition(".")[2] in _NOT_A_DOMAIN or _ALGORITHM.fullmatch(value)
            ):
                yield Found(start, end, value)


def find_ips(text: str) -> Iterator[Found]:
    """Find public IP addresses.

    Others stay (``is_global`` of the ipaddress module, which follows IANA's registries), and so do
    networks (``93.184.0.0/16``) and public name servers. Four numbers with dots may also be a
    version. What decides, in this order: the characters beside it (``://`` or a port is of an
    address, ``-``, ``/`` or ``>=`` before it of a version), the last telling word before it on its
    line, and without a hint the numbers: four of at most two digits (1.2.3.4), as 2 % of all
    addresses are by chance, are a version.
    """
    for match in chain(_IPV4.finditer(text), _IPV6.finditer(text)):
        try:
            address = ip_address(match[0])
        except ValueError:  # 999.1.1.1, 1.2.3.04, 2024:11:03, hexadecimal dumps
            continue
        network = match[0].endswith((".0", "::")) and text[match.end() : match.end() + 1] == "/"
        if (
            address.is_global
            and not (address.is_multicast or network or address.compressed in _RESOLVERS)
            and (address.version == 6 or _is_no_version(text, *match.span()))
        ):
            yield Found(*match.span(), address.compressed)


def _is_no_version(text: str, start: int, end: int) -> bool:
    after = text[end : end + 6]
    if re.match(r":\d{2,5}(?!\d)|/\d{1,2}(?![\d/.])", after):
        return True
    line = before(text, start, _BEFORE).rpartition("\n")[2]
    if _LIKE_ADDRESS.search(line):
        return True
    if _LIKE_VERSION.search(line) or re.match(r"[-_+~]\w", after):
        return False
    words = list(_WORD_BEFORE.finditer(line))
    if words:
        return (words[-1].lastgroup or "").startswith("address")
    return max(map(len, text[start:end].split("."))) > 2
