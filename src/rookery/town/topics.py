"""The topics of the built-in town, with the facts to ask about and the adverts beside them.

This is the ground truth that tests and demos compare with: which words search for a topic, which
facts the town's posts state, and which advert belongs to which topic. All of it is synthetic. The
sentences that the town's people write are in `words/en.txt` and its siblings; who writes them, in
`posts.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """A true statement about the town, with a question about it.

    answer: the words that a correct answer contains. tellings: the sentences that people write.
    """

    question: str
    answer: str
    tellings: tuple[str, ...]


@dataclass(frozen=True)
class Advert:
    """An advert that belongs beside a topic.

    landing_path: a path on the advertiser's own site.
    """

    advertiser: str
    headline: str
    body: str
    landing_path: str


@dataclass(frozen=True)
class Topic:
    """A topic, with the words and whole queries that search for it, its facts and its adverts."""

    name: str
    words: tuple[str, ...]
    queries: tuple[str, ...]
    facts: tuple[Fact, ...]
    adverts: tuple[Advert, ...]


TOPICS: tuple[Topic, ...] = (
    Topic(
        "rowing",
        ("rowing", "oar", "crew", "regatta", "sculls", "boathouse", "cox", "rowers"),
        ("rowing regatta", "learn to row", "boathouse crew training", "sculls on the river"),
        (
            Fact(
                "When does the spring regatta start?",
                "nine in the morning",
                (
                    "The spring regatta starts at nine in the morning at Miller's Weir.",
                    "First race of the spring regatta: nine in the morning, below Miller's Weir.",
                    "Remember that the spring regatta begins at nine in the morning, not at ten.",
                ),
            ),
            Fact(
                "Where can beginners learn rowing?",
                "North Boathouse",
                (
                    "Beginners can learn rowing at the North Boathouse on Tuesdays.",
                    "The North Boathouse takes rowing beginners every Tuesday, boats and oars "
                    "are there.",
                    "Ask at the North Boathouse if you want to learn rowing, they lend you "
                    "everything.",
                ),
            ),
        ),
        (
            Advert(
                "Weir Oars",
                "Hand-made oars for your crew",
                "Light sculls and sweeps, made by rowers.",
                "/oars",
            ),
            Advert(
                "North Boathouse",
                "Learn to row this spring",
                "Six evenings on the river, boats included.",
                "/row",
            ),
        ),
    ),
    Topic(
        "bread",
        ("bread", "sourdough", "flour", "baking", "dough", "loaf", "bakery", "crust"),
        ("sourdough recipe", "rye flour mill", "bakery open on sunday", "crust of the loaf"),
        (
            Fact(
                "Which bakery is open on Sunday?",
                "Kestrel Bakery",
                (
                    "The Kestrel Bakery on Harbour Street is open on Sunday from seven.",
                    "Only the Kestrel Bakery is open on Sunday, and the rye is gone by nine.",
                    "On Sunday I get my bread at the Kestrel Bakery, it is open from seven.",
                ),
            ),
            Fact(
                "How long should a sourdough loaf cool?",
                "two hours",
                (
                    "A sourdough loaf should cool for two hours before you cut it.",
                    "Let the sourdough loaf cool two hours, the crumb sets only then.",
                    "My grandmother said a sourdough loaf must cool two hours, and she was right.",
                ),
            ),
        ),
        (
            Advert(
                "Old Mill Flour",
                "Stone-ground rye flour",
                "Fresh from the mill every Thursday.",
                "/flour",
            ),
            Advert(
                "Kestrel Bakery", "Sourdough, warm at seven", "Order your loaf tonight.", "/loaves"
            ),
        ),
    ),
    Topic(
        "astronomy",
        ("astronomy", "telescope", "stars", "moon", "jupiter", "comet", "observatory", "galaxy"),
        (
            "telescope for beginners",
            "moon and jupiter tonight",
            "observatory open evening",
            "comet in the north",
        ),
        (
            Fact(
                "When is the observatory open to visitors?",
                "first Friday",
                (
                    "The observatory on Castle Hill is open to visitors on the first Friday of "
                    "each month.",
                    "Every first Friday the observatory opens for visitors, bring a warm coat.",
                    "The observatory is open to all visitors on the first Friday of the month, "
                    "free of charge.",
                ),
            ),
            Fact(
                "Which telescope is good for beginners?",
                "six inch Dobsonian",
                (
                    "A six inch Dobsonian is a good telescope for beginners.",
                    "For beginners I always name the six inch Dobsonian: a simple telescope, "
                    "nothing to break.",
                    "My first telescope was a six inch Dobsonian and it is still the best for "
                    "beginners.",
                ),
            ),
        ),
        (
            Advert(
                "Clear Night Optics",
                "Your first telescope",
                "Dobsonians from six inches, set up for you.",
                "/scopes",
            ),
            Advert(
                "Castle Hill Observatory",
                "See Saturn's rings",
                "Evenings with the large refractor.",
                "/evenings",
            ),
        ),
    ),
    Topic(
        "trams",
        ("tram", "trams", "line", "timetable", "depot", "night tram", "stop", "conductor"),
        ("night tram 12", "tram timetable", "depot open day", "tram delay harbour street"),
        (
            Fact(
                "Until when does night tram 12 run?",
                "half past one",
                (
                    "The night tram 12 runs until half past one.",
                    "Last night tram 12 leaves Old TownMarket at half past one, it runs no later.",
                    "Good to know: night tram 12 runs until half past one, also on Sundays.",
                ),
            ),
            Fact(
                "Which tram line goes to the harbour?",
                "line 4",
                (
                    "Tram line 4 goes to the harbour every ten minutes.",
                    "To the harbour you take tram line 4 from Old TownMarket.",
                    "Since May only tram line 4 goes all the way to the harbour.",
                ),
            ),
        ),
        (
            Advert(
                "City Tramways",
                "One ticket for the month",
                "All tram lines, day and night.",
                "/month",
            ),
            Advert(
                "Depot Museum",
                "Drive an old tram",
                "Sundays at the depot, from twelve years.",
                "/drive",
            ),
        ),
    ),
    Topic(
        "gardening",
        (
            "garden",
            "gardening",
            "tomatoes",
            "compost",
            "seed",
            "seeds",
            "roses",
            "allotment",
            "slugs",
        ),
        ("when to plant tomatoes", "compost heap", "slugs in the garden", "seed swap allotment"),
        (
            Fact(
                "When should tomatoes go outside?",
                "middle of May",
                (
                    "Tomatoes should go outside in the middle of May, not before.",
                    "I never plant tomatoes outside before the middle of May, the frost comes "
                    "back.",
                    "Here the tomatoes go outside in the middle of May, when the nights are mild.",
                ),
            ),
            Fact(
                "Where is the seed swap?",
                "Orchard Hall",
                (
                    "The seed swap is in Orchard Hall, bring seeds in labelled paper bags.",
                    "Find the seed swap this Saturday in Orchard Hall, behind the allotment.",
                    "The garden club holds its seed swap in Orchard Hall again.",
                ),
            ),
        ),
        (
            Advert(
                "Green Spade",
                "Tomato plants, ready in May",
                "Forty kinds, grown without peat.",
                "/tomatoes",
            ),
            Advert(
                "Orchard Seeds",
                "Old seeds for new gardens",
                "Beans, beets and roses by post.",
                "/seeds",
            ),
        ),
    ),
    Topic(
        "football",
        ("football", "goal", "match", "keeper", "penalty", "league", "striker", "derby"),
        (
            "football derby tickets",
            "goal in the last minute",
            "youth football training",
            "league table",
        ),
        (
            Fact(
                "Who won the derby?",
                "Harbour United",
                (
                    "Harbour United won the derby by two goals to one.",
                    "What a derby, Harbour United won in the last minute.",
                    "Harbour United won the derby and the whole quay was singing.",
                ),
            ),
            Fact(
                "Where does the youth team train?",
                "Meadow Ground",
                (
                    "The youth team trains on the Meadow Ground on Wednesdays.",
                    "Football for children: the youth team trains at the Meadow Ground, just "
                    "come along.",
                    "On the Meadow Ground the youth team trains even in the rain.",
                ),
            ),
        ),
        (
            Advert(
                "Harbour United",
                "Season tickets are here",
                "Every home match from your own seat.",
                "/tickets",
            ),
            Advert(
                "Left Back Sports",
                "Boots for wet grass",
                "Football boots, fitted in the shop.",
                "/boots",
            ),
        ),
    ),
    Topic(
        "cycling",
        ("cycling", "bike", "bicycle", "ride", "gravel", "wheel", "helmet", "pedals"),
        ("bike repair", "gravel ride sunday", "cycle path river", "bicycle lights helmet"),
        (
            Fact(
                "Where can I get my bike repaired?",
                "Spoke Cellar",
                (
                    "You can get your bike repaired at the Spoke Cellar, while you wait.",
                    "The Spoke Cellar repaired my bike for the price of a coffee.",
                    "If the chain slips, get the bike repaired at the Spoke Cellar in Mill Lane.",
                ),
            ),
            Fact(
                "How long is the river cycle path?",
                "thirty-two kilometres",
                (
                    "The river cycle path is thirty-two kilometres long, from the weir to the sea.",
                    "We rode the whole river cycle path today, thirty-two kilometres against the "
                    "wind.",
                    "Thirty-two kilometres, that is how long the river cycle path is now.",
                ),
            ),
        ),
        (
            Advert("Spoke Cellar", "Your bike, true again", "Repairs while you wait.", "/repairs"),
            Advert(
                "Gravel and Co", "Gravel bikes to borrow", "Try a bike for a weekend.", "/borrow"
            ),
        ),
    ),
    Topic(
        "film",
        ("film", "cinema", "movie", "director", "screening", "actor", "scene", "projector"),
        ("cinema tonight", "silent film with piano", "open air screening", "best film of the year"),
        (
            Fact(
                "Which cinema shows silent films?",
                "Lantern",
                (
                    "The Lantern shows silent films with a live piano every Monday.",
                    "If you like silent films, the Lantern is the only cinema that still shows "
                    "them.",
                    "On Mondays the Lantern cinema shows silent films, and the piano is never "
                    "late.",
                ),
            ),
            Fact(
                "When does the open air cinema begin?",
                "tenth of July",
                (
                    "The open air cinema begins on the tenth of July in the castle yard.",
                    "Blankets ready: the open air cinema begins on the tenth of July.",
                    "From the tenth of July there is open air cinema, it begins after sunset.",
                ),
            ),
        ),
        (
            Advert(
                "The Lantern",
                "Monday is silent film night",
                "With a live piano, since 1921.",
                "/monday",
            ),
            Advert(
                "Reel House", "Ten films, one card", "The cinema card for the whole year.", "/card"
            ),
        ),
    ),
    Topic(
        "birds",
        ("birds", "rook", "rooks", "nest", "heron", "swifts", "binoculars", "birdwatching"),
        ("rooks nesting", "birdwatching walk", "binoculars for birds", "swifts arrive"),
        (
            Fact(
                "Where do the rooks nest?",
                "churchyard elms",
                (
                    "The rooks nest in the churchyard elms, as they have for a hundred years.",
                    "Counted forty nests of rooks in the churchyard elms this morning.",
                    "If you want to see where rooks nest, look up into the churchyard elms.",
                ),
            ),
            Fact(
                "When do the swifts arrive?",
                "first week of May",
                (
                    "The swifts arrive in the first week of May, loud and all at once.",
                    "Swifts arrive here in the first week of May and leave in August.",
                    "Keep looking up: the swifts arrive in the first week of May.",
                ),
            ),
        ),
        (
            Advert(
                "Heron Optics",
                "Binoculars that last",
                "Clear and light, made for early mornings.",
                "/binoculars",
            ),
            Advert("Nest and Box", "Homes for swifts", "Nest boxes, cut from larch.", "/boxes"),
        ),
    ),
    Topic(
        "choir",
        ("choir", "singing", "concert", "rehearsal", "alto", "tenor", "songs", "organ"),
        ("choir rehearsal", "join a choir", "concert in the chapel", "tenor wanted"),
        (
            Fact(
                "When does the town choir rehearse?",
                "Thursday at seven",
                (
                    "The town choir rehearses on Thursday at seven in St Anne's chapel.",
                    "Town choir tonight: we rehearse every Thursday at seven, come and listen.",
                    "No audition for the town choir, just come when they rehearse, Thursday at "
                    "seven.",
                ),
            ),
            Fact(
                "Which voices does the choir need?",
                "tenors",
                (
                    "The choir needs tenors, as every choir does.",
                    "We have altos enough, but the choir still needs tenors.",
                    "Our choir needs two more tenors before the summer concert.",
                ),
            ),
        ),
        (
            Advert(
                "St Anne's Concerts", "A summer of song", "Eight concerts in the chapel.", "/summer"
            ),
            Advert(
                "Voice Room", "Find your voice", "Singing lessons for late beginners.", "/lessons"
            ),
        ),
    ),
)

TOPIC_NAMES: tuple[str, ...] = tuple(topic.name for topic in TOPICS)
