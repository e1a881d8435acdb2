from __future__ import annotations

import pytest

from winnow.cli.main import EXIT_USAGE, main


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name a test collection with --data FOLDER, or measure with --from-clicks -c NAME"),
        (["--from-clicks"], "--from-clicks needs -c NAME"),
        (["--from-clicks", "-c", "docs", "--keep", "k", "--data", "d"], "--data and --keep cannot be combined with"),
        (["--data", "d", "-c", "docs", "--save", "s"], "-c and --save cannot be combined with --data"),
    ],
)
def test_options_of_the_two_ways_to_measure_are_not_mixed(capsys, options, message):
    with pytest.raises(SystemExit) as ended:
        main(["eval", *options])
    assert ended.value.code == EXIT_USAGE
    assert message in capsys.readouterr().err
