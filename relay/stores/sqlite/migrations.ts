/** Says whose file it is, in the file's header: "Rivl". */
export const APPLICATION_ID = 0x5269766c;

/**
 * The steps from a version of the file to the next: the first makes version 1. A step
 * that was released never changes.
 */
export const MIGRATIONS: readonly string[] = [
  `
CREATE TABLE meta(key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE topics(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  epoch TEXT NOT NULL,
  created INTEGER NOT NULL,
  facts TEXT NOT NULL,
  first INTEGER NOT NULL,
  next INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  events INTEGER NOT NULL,
  oldest INTEGER,
  last_id TEXT NOT NULL,
  end_status TEXT,
  end_reason TEXT,
  end_whole INTEGER,
  ended INTEGER
);
CREATE INDEX topics_ended ON topics(ended) WHERE ended IS NOT NULL;
CREATE INDEX topics_unended ON topics(name) WHERE ended IS NULL;
CREATE INDEX topics_oldest ON topics(oldest) WHERE oldest IS NOT NULL;
CREATE TABLE ranges(
  topic INTEGER NOT NULL,
  first INTEGER NOT NULL,
  count INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  time INTEGER NOT NULL,
  times TEXT,
  sizes TEXT,
  events TEXT NOT NULL
);
CREATE UNIQUE INDEX ranges_place ON ranges(topic, first);
CREATE TABLE holes(
  topic INTEGER NOT NULL,
  start INTEGER NOT NULL,
  stop INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY(topic, start)
) WITHOUT ROWID;
CREATE TABLE publications(
  topic INTEGER NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  UNIQUE(topic, key)
);
CREATE TABLE graves(topic INTEGER PRIMARY KEY);
CREATE TABLE entries(
  bucket TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  expires REAL NOT NULL,
  UNIQUE(bucket, key)
);
CREATE INDEX entries_expires ON entries(expires);
`,
  `
CREATE TABLE unmerged(topic INTEGER PRIMARY KEY, start INTEGER NOT NULL);
INSERT INTO unmerged SELECT topic, min(first) FROM ranges
  WHERE topic IN (SELECT id FROM topics) GROUP BY topic HAVING count(*) >= 4;
`,
];
