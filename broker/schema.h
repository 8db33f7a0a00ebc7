/*
 * The journal's tables, as SQL. People read them with `sqlite3 -readonly`; nobody but the broker
 * writes.
 */
#ifndef LOPS_BROKER_SCHEMA_H
#define LOPS_BROKER_SCHEMA_H

#define JOURNAL_PRAGMAS                                                                            \
	"PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"               \
	"PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-1024; PRAGMA temp_store=MEMORY;"          \
	"PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"

#define JOURNAL_SCHEMA                                                                             \
	"CREATE TABLE IF NOT EXISTS events(seq INTEGER PRIMARY KEY, type INTEGER, dep INTEGER,"    \
	" time INTEGER, prev INTEGER, dprev INTEGER, cause INTEGER, did INTEGER, crc INTEGER,"     \
	" rec BLOB);"                                                                              \
	"CREATE UNIQUE INDEX IF NOT EXISTS events_did ON events(did) WHERE did<>0;"                \
	"CREATE TABLE IF NOT EXISTS names(id INTEGER PRIMARY KEY, name TEXT, last INTEGER);"       \
	"CREATE TABLE IF NOT EXISTS last(key TEXT PRIMARY KEY, dep TEXT, seq INTEGER, crc "        \
	"INTEGER,"                                                                                 \
	" rec BLOB) WITHOUT ROWID;"                                                                \
	"CREATE INDEX IF NOT EXISTS last_dep ON last(dep);"                                        \
	"CREATE TABLE IF NOT EXISTS senders(sender TEXT, incarnation INTEGER, number INTEGER,"     \
	" PRIMARY KEY(sender, incarnation)) WITHOUT ROWID;"                                        \
	"CREATE TABLE IF NOT EXISTS cursors(name TEXT PRIMARY KEY, seq INTEGER, own INTEGER) "     \
	"WITHOUT ROWID;"                                                                           \
	"CREATE TABLE IF NOT EXISTS meta(epoch INTEGER, boot_id TEXT);"

#endif
