"""Caps: what viewers saw is counted within its window, and forgotten after it."""

from rookery.ads.select.caps import Caps, Seen

DAY = 86_400


def test_an_offer_counts_until_it_expires_and_for_good_once_it_was_seen():
    caps = Caps()
    for offer in (1, 2):
        caps.note(b"ada", Seen(offer, 0, 100, row=0, version=1))
    caps.confirm(2)
    assert [len(caps.of([b"ada"], now)) for now in (0, 99, 100)] == [2, 2, 1]
    assert caps.of([b"eve"], 0) == []
    assert len(caps.of([b"eve", b"ada"], 0)) == 2


def test_what_no_window_reaches_is_forgotten_of_some_viewers_at_a_time():
    caps = Caps()
    for n in range(25_000):
        caps.note(f"v{n}".encode(), Seen(n, 0, None if n % 2 else 50, row=0, version=1))
    caps.forget(60)
    assert 15_000 < len(caps._seen) < 25_000
    for _ in range(2):
        caps.forget(60)
    assert len(caps._seen) == 12_500  # those that were seen
    for _ in range(6):
        caps.forget(32 * DAY)
    assert (caps._seen, caps._of_offer) == ({}, {})
