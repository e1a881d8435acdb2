"""Bytes become text as in browsers, and as detected where nothing names an encoding."""

from __future__ import annotations

import codecs
from contextlib import suppress

import pytest

from winnow.conversion.encodings import DecodedText, NotText, decode_text

CHINESE = "小麦的储存需要保持干燥，温度不宜过高，湿度也不宜过高。"
JAPANESE = "小麦は乾燥した場所で保存する。温度が高すぎてはいけない。"


@pytest.mark.parametrize(
    ("data", "label", "text"),
    [
        ("ü".encode(), "", "ü"),
        ("ü".encode(), "no-such-charset", "ü"),
        ("ü".encode(), "undefined", "ü"),
        ("“ü” €5".encode("cp1252"), "iso-8859-1", "“ü” €5"),
        (b"a\x81b", "latin1", "a\x81b"),
        ("朱镕基總理，囍".encode("gbk"), "gb2312", "朱镕基總理，囍"),
        ("㈱髙橋①".encode("cp932"), "Shift_JIS", "㈱髙橋①"),
        ("小麦".encode("cp932"), "x-sjis", "小麦"),
        ("펲시 똠방각하".encode("cp949"), "euc-kr", "펲시 똠방각하"),
        ("חיטה".encode("iso8859-8"), "iso-8859-8-i", "חיטה"),
        (codecs.BOM_UTF8 + "ü".encode(), "latin-1", "ü"),
        ("Wheat".encode("utf-16"), "utf-8", "Wheat"),
        (codecs.BOM_UTF16_BE + "Wheat".encode("utf-16-be"), "", "Wheat"),
    ],
)
def test_text_is_decoded_by_its_mark_or_its_label(data: bytes, label: str, text: str) -> None:
    assert decode_text(data, label).text == text


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ('<meta charset="gbk">', "gb18030"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=gb2312">', "gb18030"),
        ('<?xml version="1.0" encoding="gbk"?>', "gb18030"),
    ],
)
def test_a_page_may_name_its_encoding(head: str, encoding: str) -> None:
    data = f"{head}<p>{CHINESE}".encode("gbk")
    assert decode_text(data, page=True) == DecodedText(f"{head}<p>{CHINESE}", encoding)


def test_a_label_goes_before_what_the_page_says() -> None:
    assert decode_text("<meta charset=gbk><p>ü".encode("cp1252"), "windows-1252", page=True).text.endswith("ü")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CHINESE, "gbk"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc_jp"),
        ("밀을 보관한다 그리고 건조하게 유지해야 한다", "cp949"),
        ("Пшеница хранится в сухом месте и должна проветриваться", "cp1251"),
        ("Пшеница хранится в сухом месте и должна проветриваться", "koi8_r"),
        ("fine\nMüller", "cp1252"),
        ("It’s a “mill” – €5", "cp1252"),
        ("שלום", "cp1255"),
        ('<p>מחיר: 25 ש"ח</p>', "cp1255"),
        ("<h1>ברוכים הבאים</h1><p>טחנת קמח", "iso8859_8"),
        ("Привет, мир", "cp1251"),
        ("Привет, мир", "koi8_r"),
        ("<p>Τιμή: 25 ευρώ</p>", "cp1253"),
        ("الطاحونة بجانب النهر.", "cp1256"),
        ("โรงสีอยู่ริมแม่น้ำ", "cp874"),
        ("Değirmen ırmağın yanında, çok güzel.", "cp1254"),
        ("磨坊在河边。", "gb18030"),
        ("磨坊在河邊。", "big5"),
        ("방앗간은 강가에 있다.", "cp949"),
        ("No mark, but two bytes a character.", "utf-16-le"),
        ("Без пометки, по два байта на знак.", "utf-16-le"),
        (f"<p>{CHINESE}</p>\n", "utf-16-be"),
        (f"<p>{JAPANESE}</p>", "iso2022_jp"),
    ],
)
def test_an_encoding_that_is_not_named_is_detected_and_said(text: str, encoding: str) -> None:
    found = decode_text(text.encode(encoding))
    assert (found.text, found.detected, found.replaced) == (text, True, 0)


def test_a_text_without_a_name_is_utf8_if_more_of_it_is_so_than_not() -> None:
    mostly = "Mühle am Bach. ".encode() * 50
    assert (decode_text(mostly + b"\xff").encoding, decode_text(mostly + b"\xff").replaced) == ("utf-8", 1)
    assert decode_text(b"word " * 200 + "Mühle".encode("cp1252")).text.endswith("Mühle")


def test_single_bad_bytes_are_counted() -> None:
    found = decode_text(b"word " * 200 + b"\xff", "utf-8")
    assert (found.encoding, found.replaced) == ("utf-8", 1)


@pytest.mark.parametrize(
    ("data", "label"), [(b"\x89PNG\r\n\x1a\n\x00\x00\xff", ""), ("à la carte é ".encode("cp1252"), "euc-kr")]
)
def test_bytes_that_are_not_text_in_the_named_encoding_are_refused(data: bytes, label: str) -> None:
    with pytest.raises(NotText):
        decode_text(data, label)


@pytest.mark.parametrize("data", [b"abc\x00def\x00" * 8, b"\x00\x01\x02\x03" * 8])
def test_bytes_with_zeros_between_are_no_wide_text(data: bytes) -> None:
    assert "utf-16" not in decode_text(data, "windows-1252").encoding
    with suppress(NotText):
        assert "utf-16" not in decode_text(data).encoding


@pytest.mark.parametrize("label", ["iso-8859-1", "us-ascii", "windows-1251", "shift_jis", "gbk"])
def test_utf8_that_is_said_to_be_something_else_is_read_as_it_is(label: str) -> None:
    found = decode_text(CHINESE.encode(), label)
    assert (found.text, found.encoding, found.detected) == (CHINESE, "utf-8", True)


def test_a_text_with_a_mark_of_four_bytes_is_read() -> None:
    assert decode_text(CHINESE.encode("utf-32"), "utf-8").text == CHINESE


@pytest.mark.parametrize(
    "head",
    [
        '<!-- <meta charset="koi8-r"> --><meta charset="gbk">',
        '<meta name="description" content="charset=koi8-r"><meta charset="gbk">',
        '<meta charset="russian"><META content="text/html;charset=gbk" HTTP-EQUIV=content-type>',
        f"<style>{'x' * 2000}</style><meta charset=gbk>",
    ],
)
def test_only_the_declaration_that_counts_names_the_encoding(head: str) -> None:
    found = decode_text(f"{head}<p>短。".encode("gbk"), page=True)
    assert (found.text[-2:], found.encoding, found.detected) == ("短。", "gb18030", False)
