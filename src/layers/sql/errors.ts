/**
 * What a database said, in words.
 */
import { SqlError } from "@effect/sql/SqlError"
import { SessionStoreError } from "../../services/Errors.js"
import { CommitFailed } from "./transaction.js"

/** The code of the driver's error: `SQLITE_FULL`, an SQLSTATE such as `40001`, or one of the system such as `ECONNRESET`. */
export const codeOf = (error: unknown): string => {
  for (let it = error, i = 0; typeof it === "object" && it !== null && i < 4; i++) {
    if ("code" in it && typeof it.code === "string" && it.code !== "") return it.code
    it = "cause" in it ? it.cause : undefined
  }
  return ""
}

/** An SQLSTATE: the server refused the statement and did nothing of it. */
export const isRefusal = (code: string): boolean => /^[0-9A-Z]{5}$/.test(code) && !/^(?:08|57P|XX)/.test(code)

/** Two transactions met; one of them is to be made again. */
export const isCollision = (code: string): boolean => code === "40001" || code === "40P01"

export const isDuplicate = (code: string): boolean => code === "23505" || code.startsWith("SQLITE_CONSTRAINT")

/** `operation` says what was to be done, as in "failed to write". */
export const storeError = (operation: string, error: SqlError | CommitFailed): SessionStoreError =>
  new SessionStoreError({ operation, reason: reasonOf(error), cause: error })

const reasonOf = (error: SqlError | CommitFailed): string => {
  const code = codeOf(error)
  const known = reasons.find(([codes]) => codes.test(code))
  if (known !== undefined) return `${known[1]} (${code})`
  let innermost: unknown = error
  while (innermost instanceof SqlError || innermost instanceof CommitFailed) innermost = innermost.cause ?? undefined
  const text = innermost instanceof Error ? innermost.message : ""
  const said = text === "" ? "the database gave no reason" : text
  return code === "" ? said : `${said} (${code})`
}

const reasons: ReadonlyArray<readonly [codes: RegExp, reason: string]> = [
  [/^SQLITE_FULL|^53100$|^ENOSPC$/, "the disk is full"],
  [/^SQLITE_IOERR|^58030$|^EIO$/, "the disk cannot be read or written"],
  [/^SQLITE_READONLY|^25006$/, "the database is read-only"],
  [/^SQLITE_CORRUPT|^SQLITE_NOTADB|^XX001$|^XX002$/, "the database is damaged"],
  [/^08|^57P0|^ECONN|^EPIPE$|^ENOTFOUND$|^ETIMEDOUT$/, "the connection was lost"],
  [/^53300$/, "the server takes no more connections"]
]
