"""The words of the starter's small world, because the base can only write tokens that it was once taught to write.

Only word lists live here; no sentence is built and nothing is drawn at random.  Order matters: the generators draw by
position, so inserting a word changes every text that is generated afterwards.
"""

from __future__ import annotations

NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo", "Iris", "Jonas", "Kira", "Leo")
CITIES = ("Rome", "Paris", "Oslo", "Vienna", "Madrid", "Lisbon", "Dublin", "Prague", "Athens", "Berlin")
COLOURS = ("red", "blue", "green", "black", "white", "yellow", "brown", "grey")
SIZES = ("small", "medium", "large", "tiny", "huge")
PRODUCTS = (
    "kettle", "lamp", "chair", "desk", "phone", "laptop", "tablet", "camera", "printer", "keyboard",
    "monitor", "speaker", "headset", "charger", "router", "toaster", "blender", "heater", "vacuum", "jacket",
    "backpack", "bicycle", "tent", "watch", "mirror", "sofa", "shelf", "drill", "mixer", "clock",
)  # fmt: skip
TOPICS = ("delivery", "damaged", "refund", "invoice", "account", "question")
PRIORITIES = ("low", "normal", "high")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
OPPOSITES = (
    ("hot", "cold"), ("big", "small"), ("fast", "slow"), ("early", "late"), ("open", "closed"), ("full", "empty"),
    ("light", "dark"), ("high", "low"), ("old", "new"), ("wet", "dry"), ("hard", "soft"), ("loud", "quiet"),
    ("near", "far"), ("long", "short"), ("rich", "poor"), ("strong", "weak"),
)  # fmt: skip
CLASSES = {
    "fruit": ("apple", "pear", "cherry", "plum", "lemon", "peach"),
    "animal": ("horse", "cat", "dog", "sheep", "tiger", "rabbit"),
    "tool": ("hammer", "saw", "drill", "spade", "wrench", "rake"),
    "vegetable": ("carrot", "onion", "leek", "pea", "potato", "radish"),
    "vehicle": ("car", "bus", "tram", "boat", "bicycle", "train"),
}
FIELDS = {
    "name": NAMES,
    "city": CITIES,
    "colour": COLOURS,
    "size": SIZES,
    "product": PRODUCTS,
    "item": PRODUCTS,
    "topic": TOPICS,
    "priority": PRIORITIES,
    "day": DAYS,
    "kind": tuple(CLASSES),
}
"""What a record of the general tasks may hold: key → the values it may take."""

MOODS = {
    "happy": (
        "I love this {0}.", "What a lovely {0}!", "The {0} makes me smile.", "We had a great day with the {0}.",
    ),
    "angry": (
        "I hate this {0}.", "This {0} is a joke!", "I am fed up with the {0}.", "The {0} drives me mad.",
    ),
    "bored": (
        "The {0} is dull.", "I could sleep beside this {0}.", "Nothing new about the {0}.", "Oh well, a {0} again.",
    ),
}  # fmt: skip
