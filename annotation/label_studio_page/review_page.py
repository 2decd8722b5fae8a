"""Settings of the Label Studio server that we start: its own, and our keys in its pages.

Label Studio's form language can neither put the cursor into a box nor compare an answer with a
field of the task. ``templates/base.html`` adds both to the pages of this server; on any other one
the form works without it, and an edit that changed nothing bounces at the next pull.
"""

import os
from pathlib import Path

OURS = os.environ["DJANGO_SETTINGS_MODULE"]
# While it is being imported it asks Django for settings, which must be its own by then.
os.environ["DJANGO_SETTINGS_MODULE"] = "label_studio.core.settings.label_studio"
from label_studio.core.settings import label_studio as theirs  # noqa: E402

os.environ["DJANGO_SETTINGS_MODULE"] = OURS
globals().update({name: value for name, value in vars(theirs).items() if name.isupper()})
theirs.TEMPLATES[0]["DIRS"].insert(0, str(Path(__file__).parent / "templates"))
