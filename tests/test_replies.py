"""What a system's own words may show in a message."""

from pipeline.sources.replies import concealed


def test_no_secret_shows_however_it_is_written() -> None:
    secret = "ab/cd+ e"
    said = f"/x?key={secret} /y?key=ab%2Fcd%2B%20e /z?key=ab%2Fcd%2B+e"
    assert concealed(said, [secret]) == "/x?key=*** /y?key=*** /z?key=***"


def test_phones_are_masked_and_long_answers_cut_to_one_line() -> None:
    told = concealed("call\n13800138000 " + "x" * 900, [])
    assert "13800138000" not in told
    assert "\n" not in told
    assert len(told) < 400
