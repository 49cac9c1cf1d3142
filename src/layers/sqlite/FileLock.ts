/**
 * A lock on a file among processes, which the kernel takes back when its holder dies.
 *
 * It is the exclusive lock of a second small database beside the file, with a rollback journal, in which nothing is
 * ever written: SQLite's own locks are known to work, on every system, between processes and between connections of
 * one process. Only SQLite opens that file: closing any other descriptor of it would drop the locks of this process.
 */
import { type Database, isBusy, type Open } from "./Database.js"

export interface FileLock {
  /** Takes the lock if it is free. Never waits. */
  readonly take: () => boolean
  readonly give: () => void
  readonly close: () => void
}

/** For a database that no other process sees. */
export const none: FileLock = { take: () => true, give: () => {}, close: () => {} }

/** The lock of the file of this name, which is made where it is not there. */
export const make = (open: Open, filename: string): FileLock => {
  const db: Database = open(filename)
  // No prepared statement: one would keep the file open until it is collected.
  db.exec("PRAGMA busy_timeout = 0")
  return {
    take: () => {
      try {
        db.exec("BEGIN EXCLUSIVE")
        return true
      } catch (error) {
        if (isBusy(error)) return false
        throw error
      }
    },
    give: () => {
      try {
        db.exec("COMMIT")
      } finally {
        // The first one of all writes the file's header, and may fail to.
        if (db.inTransaction) db.exec("ROLLBACK")
      }
    },
    close: () => db.close()
  }
}
