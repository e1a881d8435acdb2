"""The text form of API keys: what is random, public and checked."""

from __future__ import annotations

import re

import pytest

from winnow.core.api_key import digest_of, id_of, is_well_formed, new_key


def test_a_key_has_the_documented_form():
    key = new_key()
    assert re.fullmatch(r"wnw_[0-9A-Za-z]{38}", key)
    assert is_well_formed(key)
    assert id_of(key) == key[:12]
    assert len(digest_of(key)) == 32


def test_the_checksum_is_crc_32_in_base62():
    # CRC-32 of the body is 0x2624b69b
    body = "wnw_" + "0123456789ABCDEFGHIJKLMNOPQRSTUV"
    assert [is_well_formed(body + checksum) for checksum in ("000000", "0hJ7gx")] == [False, True]


def test_keys_differ_in_their_public_part_and_in_their_secret():
    keys = [new_key() for _ in range(200)]
    assert len({id_of(key) for key in keys}) == 200
    assert len({key[12:36] for key in keys}) == 200


@pytest.mark.parametrize("change", ["swap", "drop", "add", "case", "prefix", "space", "newline", "empty"])
def test_a_mistyped_key_is_recognized(change):
    key = new_key()
    place = next(i for i in range(5, 35) if key[i] != key[i + 1] and key[i].swapcase() != key[i])
    wrong = {
        "swap": key[:place] + key[place + 1] + key[place] + key[place + 2 :],
        "drop": key[:-1],
        "add": key + "0",
        "case": key[:place] + key[place].swapcase() + key[place + 1 :],
        "prefix": "wnx_" + key[4:],
        "space": key + " ",
        "newline": key + "\n",
        "empty": "",
    }[change]
    assert not is_well_formed(wrong)
