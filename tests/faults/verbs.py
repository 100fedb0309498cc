"""The verbs that are tried."""

from tests.faults import endings, states
from tests.faults.states import FILM, HERO, HERO_PATH, LOOSE, NEW, NEWER, ROOM, THEME, THEME_PATH
from tests.faults.worlds import STORE, Verb
from tests.oracle import digest

ALL = (HERO, THEME, FILM, ROOM)
_PRE_COMMIT, _POST_COMMIT, _FILTER = "*' pre-commit'", "*' post-commit'", "*'filter comfyvn'"
_WORKER = ("-P", "-X", "utf8", "-c", "from comfyvn_store.previews.worker import run; run()")
_TRASH, _QUARANTINE, _LFS = f"{STORE}/trash", f"{STORE}/bad", "repo/.git/lfs/objects"
_BOTH = (STORE, "disk")

# git's verbs, of which a filter or a hook is ours.
_OF_GIT = (
    Verb("add", states.files, ("add", "assets"), ALL, _FILTER),
    Verb("commit", states.staged, ("commit", "-qm", "art"), ALL, _PRE_COMMIT),
    Verb("committed", states.staged, ("commit", "-qm", "art"), ALL, _POST_COMMIT),
    Verb("commit-all", states.edited, ("commit", "-qam", "art"), (*ALL, NEW), _FILTER),
    Verb("switch", states.branches, ("switch", "-q", "other"), (*ALL, NEW), "*' post-checkout '*", ends=endings.follow),
)
_ASSETS = (
    Verb("init", states.raw, ("init",), (HERO, THEME)),
    Verb(
        "register",
        states.sources,
        ("register", "../src/hero.png", "../src/theme.wav", "../src/film.bin", "--type", "characters"),
        (),
    ),
    Verb("import", states.sources, ("import", "../src", "--type", "characters", "--no-alike"), (), codes=(1, 16)),
    Verb("take-back", states.imported, ("undo",), (), repeats=(0, 2, 20)),
    Verb("adopt", states.files, ("register", HERO_PATH, "--type", "characters", "--no-copy"), ALL),
    Verb(
        "replace",
        states.taken,
        ("register", "../src/new.png", "--type", "characters", "--name", "hero.png", "--replace"),
        (HERO,),
    ),
    Verb("annotate", states.committed, ("annotate", HERO_PATH, THEME_PATH, "--tag", "new", "--license", "CC0"), ALL),
    Verb("edit", states.committed, ("edit", HERO_PATH), ALL, ends=endings.undone),
    Verb(
        "resolve",
        states.conflict,
        ("resolve", HERO_PATH, "--both"),
        (*ALL, NEW, NEWER),
        repeats=(0, 2),
        ends=endings.resolved,
    ),
    Verb("undo-annotate", states.annotated, ("undo",), ALL, repeats=(0, 2), ends=endings.undone),
    Verb(
        "uninstall",
        states.committed,
        ("uninstall",),
        ALL,
        commits=False,
        repeats=(0, 10),
        ends=endings.set_up_again,
    ),
)
_REMOTES = (
    Verb("push", states.with_remote, ("push",), ALL, stores=_BOTH, codes=(15, 16)),
    Verb("pull", states.dropped, ("pull", "--jobs", "2"), ALL, stores=_BOTH),
    Verb("drop", states.pushed, ("drop", "assets"), ALL, stores=_BOTH, ends=endings.pull),
    Verb(
        "sync",
        states.apart,
        ("sync",),
        (HERO, THEME, NEW, ROOM),
        stores=_BOTH,
        codes=(1, 15, 16, 20),
        ends=endings.exchanged,
    ),
)
_STORE = (
    Verb("rebuild", states.unindexed, ("rebuild",), (*ALL, NEW), codes=(1, 16)),
    Verb(
        "previews",
        states.committed,
        (),
        ALL,
        program=_WORKER,
        holds=endings.check_previews,
        ends=endings.previews,
    ),
    Verb("recover", states.written_through, ("recover", HERO_PATH), (NEW, THEME, FILM, ROOM), stores=_BOTH),
    Verb(
        "fsck",
        states.damaged,
        ("fsck", "--repair"),
        ALL,
        stores=_BOTH,
        others=(_QUARANTINE,),
        codes=(1, 16),
    ),
    Verb(
        "gc",
        states.collectable,
        ("gc", "--prune", "--grace", "0"),
        (*ALL, NEW, *LOOSE),
        others=(_TRASH,),
        holds=endings.nothing_lost,
        ends=endings.collected,
    ),
    Verb(
        "undo-gc",
        states.collected,
        ("undo",),
        (*ALL, NEW, *LOOSE),
        others=(_TRASH,),
        repeats=(0, 2),
        holds=endings.nothing_lost,
        ends=endings.brought_back,
    ),
    Verb(
        "keep",
        states.collected,
        ("keep", digest(LOOSE[0])),
        (*ALL, NEW, *LOOSE),
        others=(_TRASH,),
        holds=endings.nothing_lost,
        ends=endings.kept,
    ),
)
_MIGRATING = (
    Verb(
        "migrate-lfs",
        states.pointers,
        ("migrate", "lfs", "--remove-cache"),
        (HERO, FILM, ROOM),
        others=(_LFS,),
        ends=endings.migrated,
    ),
    Verb(
        "migrate-raw",
        states.raw_committed,
        ("migrate", "raw"),
        (HERO, THEME, ROOM),
        has_raw=True,
        ends=endings.migrated,
    ),
    Verb(
        "migrate-history",
        states.raw_committed,
        ("migrate", "raw", "--history"),
        (HERO, THEME, ROOM),
        has_raw=True,
        ends=endings.rewritten,
    ),
)
VERBS = (*_OF_GIT, *_ASSETS, *_REMOTES, *_STORE, *_MIGRATING)
