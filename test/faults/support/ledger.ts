/**
 * What a process did, outside of any store: files to which a line is added for each thing, so that they outlive it.
 */
import * as fs from "node:fs"
import * as path from "node:path"

/** Adds a line; it is on disk when this returns. */
export type Note = (line: object) => void

export interface Ledgers {
  /** What tools and commands did. */
  readonly effects: Note
  /** What models were asked. */
  readonly requests: Note
  /** Durable events, as they were heard live. */
  readonly events: Note
  /** What was acknowledged to the caller. */
  readonly acks: Note
}

export type Ledger = keyof Ledgers

export const fileOf = (folder: string, ledger: Ledger): string => path.join(folder, "ledgers", ledger)

/** Several processes may have the ledgers of one folder open. */
export const openLedgers = (folder: string): Ledgers => {
  fs.mkdirSync(path.join(folder, "ledgers"), { recursive: true })
  const open = (name: Ledger, sync: boolean): Note => {
    const file = fs.openSync(fileOf(folder, name), "a")
    return (line) => {
      fs.writeSync(file, `${JSON.stringify(line)}\n`)
      if (sync) fs.fsyncSync(file)
    }
  }
  return {
    effects: open("effects", true),
    requests: open("requests", false),
    events: open("events", false),
    acks: open("acks", false)
  }
}

/** What stands in a ledger by now. */
export const linesOf = <A>(folder: string, ledger: Ledger): ReadonlyArray<A> => {
  const file = fileOf(folder, ledger)
  if (!fs.existsSync(file)) return []
  // Whoever was killed may have been so within a line.
  const whole = fs.readFileSync(file, "utf8").split("\n").slice(0, -1)
  return whole.map((line) => JSON.parse(line) as A)
}
