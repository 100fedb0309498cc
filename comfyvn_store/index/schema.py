"""The schema of the index (`docs/formats/index.md`). A file of another version is thrown away and made anew."""

from __future__ import annotations

VERSION = 3
# `PRAGMA application_id`: tells our file from another program's ("cvns").
APPLICATION = 0x63766E73

TABLES = (
    """CREATE TABLE assets_registry(
        id INTEGER PRIMARY KEY, uid TEXT NOT NULL, hash TEXT NOT NULL, type TEXT NOT NULL, path TEXT NOT NULL UNIQUE,
        bytes INTEGER, mime TEXT, source_hash TEXT, thumb TEXT, license TEXT, tags TEXT NOT NULL, meta TEXT NOT NULL,
        created_at TEXT, media TEXT, extra TEXT, provenance_id TEXT, staged INTEGER NOT NULL,
        mode TEXT NOT NULL, link_oid TEXT NOT NULL, sidecar_oid TEXT, commit_hash TEXT, problem TEXT,
        width INTEGER, height INTEGER, record INTEGER)""",
    """CREATE TABLE provenance(
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
        asset_id INTEGER REFERENCES assets_registry(id) ON DELETE SET NULL, hash TEXT NOT NULL, path TEXT NOT NULL,
        source TEXT, workflow_hash TEXT, commit_hash TEXT, inputs TEXT NOT NULL, created_at TEXT, parent TEXT,
        source_hash TEXT, extra TEXT, bytes INTEGER, media TEXT, tags TEXT, license TEXT, seed TEXT)""",
    # What records name, each name once; `stem` is the form in which names are compared.
    "CREATE TABLE names(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, stem TEXT, UNIQUE(kind, name))",
    """CREATE TABLE uses(
        name INTEGER NOT NULL, record INTEGER NOT NULL, place INTEGER NOT NULL, strength REAL,
        PRIMARY KEY(name, record, place)) WITHOUT ROWID""",
    # Tags and licences: of assets, and, with the owner below 0, of records that no asset has now.
    "CREATE TABLE labels(name INTEGER NOT NULL, owner INTEGER NOT NULL, PRIMARY KEY(name, owner)) WITHOUT ROWID",
    """CREATE VIEW ingredients AS
        SELECT p.id AS record_id, n.kind AS kind, n.name AS name, u.strength AS strength
        FROM names n JOIN uses u ON u.name = n.id JOIN provenance p ON p.number = u.record""",
    "CREATE TABLE commits(hash TEXT PRIMARY KEY, author TEXT, committed_at TEXT, subject TEXT)",
    """CREATE TABLE commit_assets(
        commit_hash TEXT NOT NULL, change TEXT NOT NULL, path TEXT NOT NULL, old_path TEXT, hash TEXT,
        provenance_id TEXT, PRIMARY KEY(commit_hash, path)) WITHOUT ROWID""",
    """CREATE TABLE introductions(
        record_id TEXT NOT NULL, commit_hash TEXT NOT NULL, path TEXT NOT NULL, blob TEXT NOT NULL,
        boundary INTEGER NOT NULL, PRIMARY KEY(record_id, commit_hash, path)) WITHOUT ROWID""",
    # Records that several commits brought: which of them is the first, a new HEAD may change.
    "CREATE TABLE repeated(record_id TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE preview_failures(hash TEXT PRIMARY KEY, reason TEXT NOT NULL)",
    "CREATE TABLE state(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE VIRTUAL TABLE assets_fts USING fts5(path, tags, license, prompts, models, tokenize='unicode61')",
    # The same of records that no asset has now; its rowid is the record's number.
    "CREATE VIRTUAL TABLE past_fts USING fts5(path, tags, license, prompts, models, tokenize='unicode61')",
)

INDEXES = (
    "CREATE INDEX assets_by_hash ON assets_registry(hash)",
    "CREATE INDEX assets_by_type ON assets_registry(type)",
    "CREATE INDEX assets_by_record ON assets_registry(provenance_id)",
    "CREATE INDEX assets_by_number ON assets_registry(record)",
    "CREATE INDEX assets_by_size ON assets_registry(bytes)",
    "CREATE INDEX assets_by_width ON assets_registry(width, height)",
    "CREATE INDEX assets_with_problem ON assets_registry(problem) WHERE problem IS NOT NULL",
    "CREATE INDEX assets_without_preview ON assets_registry(mime, hash) WHERE thumb IS NULL",
    "CREATE INDEX provenance_by_asset ON provenance(asset_id)",
    "CREATE INDEX provenance_by_path ON provenance(path, hash)",
    "CREATE INDEX provenance_by_commit ON provenance(commit_hash)",
    "CREATE INDEX provenance_by_hash ON provenance(hash)",
    "CREATE INDEX provenance_by_seed ON provenance(seed) WHERE seed IS NOT NULL",
    "CREATE INDEX provenance_by_parent ON provenance(parent) WHERE parent IS NOT NULL",
    "CREATE INDEX provenance_by_workflow ON provenance(workflow_hash) WHERE workflow_hash IS NOT NULL",
    "CREATE INDEX names_by_stem ON names(stem)",
    "CREATE INDEX uses_by_record ON uses(record)",
    "CREATE INDEX labels_by_owner ON labels(owner)",
    "CREATE INDEX introductions_by_commit ON introductions(commit_hash)",
    "CREATE INDEX commit_assets_by_path ON commit_assets(path)",
    "CREATE INDEX commit_assets_by_move ON commit_assets(old_path) WHERE change = 'R'",
)

# All that is derived from git; what is thrown away and filled again by a rebuild.
CONTENT = (
    "assets_fts",
    "past_fts",
    "labels",
    "uses",
    "names",
    "provenance",
    "assets_registry",
    "commit_assets",
    "introductions",
    "repeated",
    "commits",
    "state",
    "preview_failures",
)
