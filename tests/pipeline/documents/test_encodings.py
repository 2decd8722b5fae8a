"""Legacy encodings are told by what the text then says, or the file is refused by name."""

# ruff: noqa: RUF001

import pytest

from pipeline.documents.readers.decode import decode
from pipeline.documents.readers.reading import ReadFailure

SENTENCES = {
    "Le contrôleur ouvre la vanne dès que le sol est sec. Déjà réglé à 5 °C, l’été dernier.": (
        "cp1252", "mac_roman",
    ),
    "Le contrôleur ouvre la vanne dès que le sol est sec. Déjà réglé à 5 °C.": ("cp850",),
    "Der Regler öffnet das Ventil, sobald die Erde trocken ist, und schließt es wieder.": (
        "cp1252", "cp850",
    ),
    "¿Cuánto dura la señal? El controlador abre la válvula cuando el suelo está seco.": ("cp1252",),
    "Sterownik otwiera zawór, gdy gleba jest sucha, i zamyka go, gdy osiągnie wartość zadaną.": (
        "cp1250", "iso8859_2", "cp852",
    ),
    "Regulátor otevře ventil, když je půda suchá, a zavře jej, jakmile je dosaženo hodnoty.": (
        "cp1250", "iso8859_2",
    ),
    "A vezérlő kinyitja a szelepet, ha a talaj száraz, és bezárja, amikor az érték elérte.": (
        "cp1250", "iso8859_2",
    ),
    "Kontrolör toprak kuruduğunda vanayı açar ve ayar noktasına ulaşıldığında kapatır.": (
        "cp1254", "iso8859_9",
    ),
    "Контроллер открывает клапан, когда почва сухая, и снова закрывает его вечером.": (
        "cp1251", "koi8_r", "cp866", "iso8859_5",
    ),
    "Ο ελεγκτής ανοίγει τη βαλβίδα όταν το χώμα είναι στεγνό και την κλείνει ξανά.": (
        "cp1253", "iso8859_7",
    ),
    "הבקר פותח את השסתום כאשר האדמה יבשה וסוגר אותו שוב כאשר הערך מושג.": ("cp1255",),
    "يفتح المتحكم الصمام عندما تجف التربة ويغلقه مرة أخرى عند الوصول إلى القيمة.": ("cp1256",),
    "เมื่อดินแห้ง ตัวควบคุมจะเปิดวาล์วของแปลงปลูก และจะปิดอีกครั้งเมื่อถึงค่าที่ตั้งไว้": ("cp874",),
    "토양이 건조하면 제어기가 밸브를 열고 설정값에 도달하면 다시 닫습니다.": ("cp949",),
    "土壤干燥时，控制器会打开花坛的阀门。达到设定值后，它又会把阀门关上。": ("gb18030",),
    "土が乾くと、コントローラーは花壇の弁を開きます。設定値に達すると弁を閉じます。": (
        "cp932", "euc_jp",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("encoding", "text"),
    [(encoding, text) for text, encodings in SENTENCES.items() for encoding in encodings],
)
def test_a_sentence_is_read_in_the_encoding_that_it_was_written_in(encoding: str, text: str):
    assert decode(f"{text} {text}".encode(encoding)) == f"{text} {text}"


@pytest.mark.parametrize("text", ["Temperature 5 °C", "a £40 fee", "Größe", "it’s a naïve café"])
def test_a_few_words_are_western(text: str):
    assert decode(text.encode("cp1252")) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_needs_no_mark(encoding: str):
    text = "Pump report\nLe contrôleur ouvre la vanne à Besançon, où l’œuvre naît."
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bytes(range(128, 256)) * 20, "undecodable"),
        (b"\x00\x01\x02\x03" * 50, "binary_file"),
        (b"a\x00b\x00\x00c", "binary_file"),
    ],
)
def test_what_reads_as_no_text_is_refused(data: bytes, reason: str):
    with pytest.raises(ReadFailure) as refused:
        decode(data)
    assert refused.value.failure.reason == reason
