/**
 * Opening a database file: what it must be, and how it is set.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { SessionStoreError } from "../../services/Errors.js"
import { codeOf, type Database, type Open } from "./Database.js"

/**
 * How long SQLite itself waits where another program has the file, in milliseconds; it blocks the event loop for that
 * time. Beyond it the statement is tried again from outside. Connections of Baton never meet each other here.
 */
const busyTimeout = 50

export const refuse = (reason: string, cause?: unknown): SessionStoreError =>
  new SessionStoreError({ operation: "open", reason, cause })

/**
 * Makes the folder and the file where they are not there, for this user alone. Throws a `SessionStoreError` where what
 * is there is no file that can be written.
 */
export const prepareFile = (filename: string): void => {
  try {
    fs.mkdirSync(path.dirname(filename), { recursive: true, mode: 0o700 })
    const there = fs.statSync(filename, { throwIfNoEntry: false })
    if (there === undefined) makeFile(filename)
    else if (there.isDirectory()) throw refuse(`${filename} is a folder`)
    else if (!there.isFile()) throw refuse(`${filename} is no file`)
    else {
      // Nothing stops root from writing where the mode says that nobody may.
      if ((there.mode & 0o222) === 0) throw refuse(`${filename} is read-only`)
      fs.accessSync(filename, fs.constants.R_OK | fs.constants.W_OK)
    }
  } catch (error) {
    if (error instanceof SessionStoreError) throw error
    throw refuse(`${filename} ${problems[codeOf(error)] ?? `cannot be used (${codeOf(error)})`}`, error)
  }
}

/** A descriptor of a file that is open already must not be closed: that would drop the locks of this process. */
const makeFile = (filename: string): void => {
  try {
    fs.closeSync(fs.openSync(filename, "wx", 0o600))
  } catch (error) {
    // Another process made it in this instant.
    if (codeOf(error) !== "EEXIST") throw error
  }
}

const problems: Readonly<Record<string, string>> = {
  EACCES: "is not accessible to this user",
  EEXIST: "lies in what is no folder",
  ENOTDIR: "lies in what is no folder",
  ENOSPC: "cannot be made: the disk is full",
  EROFS: "is on a read-only file system"
}

/**
 * Opens the file, to be written with a log that is on disk before a commit returns. Nothing of this is kept in the file
 * but the log: `synchronous` is set each time, because a file with a log opens with less. A file that somebody else made
 * without a log keeps its journal, which is as safe: what it holds may be none of ours, and is not touched by opening.
 */
export const openDatabase = (open: Open, filename: string): Database => {
  const db = open(filename)
  try {
    const pragma = (name: string): unknown => Object.values(db.prepare(`PRAGMA ${name}`).all([])[0] as object)[0]
    db.exec(`PRAGMA busy_timeout = ${busyTimeout}`)
    // Reads the log of a process that died, while nobody else does.
    const isNew = Number(pragma("schema_version")) === 0
    const mode = isNew ? pragma("journal_mode = WAL") : undefined
    if (isNew && filename !== ":memory:" && mode !== "wal") {
      throw refuse(`${filename} does not take a write-ahead log`)
    }
    db.exec("PRAGMA synchronous = FULL")
    db.exec("PRAGMA foreign_keys = ON")
    if (Number(pragma("synchronous")) !== 2) throw refuse(`${filename} cannot be set to be written to disk at once`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** Why a file could not be opened, in words. */
export const openReason = (filename: string, error: unknown): string => {
  const code = codeOf(error)
  if (code.startsWith("SQLITE_NOTADB")) return `${filename} is no SQLite database`
  if (code.startsWith("SQLITE_CORRUPT")) return `${filename} is damaged`
  if (code.startsWith("SQLITE_READONLY")) return `${filename} is read-only`
  if (code.startsWith("SQLITE_FULL")) return "the disk is full"
  if (code.startsWith("SQLITE_IOERR")) return `${filename} cannot be read (${code})`
  return `${filename} cannot be opened: ${error instanceof Error ? error.message : String(error)}`
}
