"""Languages written in Latin letters, told by the small words and the letters that texts of them have. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

LatinLanguage: TypeAlias = Literal[
    "english",
    "german",
    "turkish",
    "spanish",
    "french",
    "italian",
    "portuguese",
    "dutch",
    "swedish",
    "romanian",
]

# words that are English as well are left out: "die", "was", "a"
_COMMON: Final[Mapping[LatinLanguage, str]] = {
    "english": "the of and to in is that for it with as was are be this on by from at which an or not you how what do",
    "german": "der die das und ist nicht ein eine zu den von mit im auf für sich dem des werden wird wie sind auch wo",
    "turkish": "ve bir bu için ile olarak olan daha da nasıl ne gibi kadar sonra çok veya değil göre nedir mi hangi",
    "spanish": "el la de que y en los las una del por con para es como lo su más cómo qué cuál",
    "french": "le la les des et une du est dans que pour qui sur pas au avec ce ne il sont ou comment quel quelle",
    "italian": "il di che una per del è con della dei gli nel alla sono non da quale come questo",
    "portuguese": "de que em uma para com não por mais dos ao como é qual são você pelo pela da foi",
    "dutch": "de het een en van dat te voor met niet zijn er aan ook door wordt bij hoe wat deze",
    "swedish": "och att det är som på för av med den till inte ett om har hur vad från kan",
    "romanian": "și de în la cu din pe este care pentru se ce mai sau sunt cum într prin",
}
_TYPICAL: Final[Mapping[LatinLanguage, str]] = {
    "german": "ßäöü",
    "turkish": "ğışçöü",
    "spanish": "ñáéíóú",
    "french": "çéèêëîïœû",
    "portuguese": "ãõçáéíóú",
    "swedish": "åäö",
    "romanian": "ăâîșț",
}
_BY_WORD: Final[Mapping[str, tuple[LatinLanguage, ...]]] = {
    word: tuple(language for language, words in _COMMON.items() if word in words.split())
    for word in " ".join(_COMMON.values()).split()
}
_BY_LETTER: Final[Mapping[str, tuple[LatinLanguage, ...]]] = {
    letter: tuple(language for language, letters in _TYPICAL.items() if letter in letters)
    for letter in "".join(_TYPICAL.values())
}
_LETTER: Final = re.compile(f"[{''.join(_BY_LETTER)}]", re.IGNORECASE)


def languages_of(text: str, words: Mapping[str, int], *, ahead: int) -> list[LatinLanguage]:
    """The languages that a text may be in, by ``words``, its words and how often each occurs: the best, and its equals.

    English alone where no other language is ``ahead`` of it by so much.
    """
    found = dict.fromkeys(_COMMON, 0)
    for word in words.keys() & _BY_WORD.keys():
        for language in _BY_WORD[word]:
            found[language] += words[word]
    if not text.isascii():
        for letter in _LETTER.findall(text):
            for language in _BY_LETTER.get(letter.lower(), ()):
                found[language] += 1
    best = max(found.values())
    if best < found["english"] + ahead:
        return ["english"]
    return [language for language, score in found.items() if score == best]
