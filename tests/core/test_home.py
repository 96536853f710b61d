"""The home: made once, opened strictly."""

import pytest

from rookery.core.errors import DataError, UsageError
from rookery.core.home import SETTINGS, Rights, Settings, create_home, open_home


def test_a_new_home_says_its_policy_and_keeps_it(tmp_path):
    assert create_home(tmp_path / "a" / "b").settings.rights.policy == "public"
    assert create_home(tmp_path / "c", "opt-in").settings.rights.policy == "opt-in"
    assert create_home(tmp_path / "c", "public").settings.rights.policy == "opt-in"


def test_settings_of_before_mean_what_is_the_default_now(tmp_path):
    (tmp_path / SETTINGS).write_text("[rights]\npolicy = 'opt-in'\nerase_within_days = 7\n")
    assert open_home(tmp_path).settings.rights == Rights("opt-in", 7, "no")
    assert create_home(tmp_path / "new").settings == Settings()


def test_a_folder_without_settings_is_no_home(tmp_path):
    with pytest.raises(UsageError, match=r"--home.*rookery init"):
        open_home(tmp_path)


def test_a_file_cannot_become_a_home(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="a home is a folder"):
            create_home(path)


@pytest.mark.parametrize(
    "text",
    [
        '[rights]\npolicy = "everything"',
        "[rights",
        "[rihgts]",
        "[rights]\nerase_within_days = -1",
        "[rights]\nnot_indexable = 'maybe'",
        "[serve]\nport = 'x'",
        "[answers]\nwriter = 'oracle'",
        "[answers]\nwriter = 'endpoint'",
        "[answers]\nseconds = 0",
        "[answers]\ncontext_tokens = 0",
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path, text):
    (tmp_path / SETTINGS).write_text(text)
    with pytest.raises(DataError, match=r"rookery\.toml"):
        open_home(tmp_path)


def test_what_is_missing_names_the_command_that_makes_it(home):
    with pytest.raises(UsageError, match="Run `rookery corpus build` first"):
        home.need("corpus", "rookery corpus build")
