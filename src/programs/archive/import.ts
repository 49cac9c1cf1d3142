/**
 * Sessions from the lines of an export.
 */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import {
  InvalidExport,
  InvalidInput,
  type InvalidSessionId,
  type SessionAlreadyExists,
  type SessionNotFound,
  type SessionStoreError
} from "../../services/Errors.js"
import { Ids } from "../../services/Ids.js"
import * as SessionId from "../../services/SessionId.js"
import { type Begun, SessionStore } from "../../services/SessionStore.js"
import * as Usage from "../../services/Usage.js"
import { plainOptions } from "../input.js"
import { pause } from "../pause.js"
import { type Read, Reading } from "./Reading.js"
import { renamed } from "./rename.js"
import { endsOf, usageOf } from "./settle.js"

export interface ImportOptions {
  /**
   * The name of the first session in place of its own; what is below it is named under that. Takes an export of one tree.
   * An export of a task's session needs it.
   */
  readonly as?: string | undefined
}

/** What an import has created, in the order of the export. */
export interface Imported {
  readonly sessions: ReadonlyArray<ImportedSession>
}

export interface ImportedSession {
  readonly id: string
  readonly entries: number
  /** The operation that ran in it when it was exported, and is recorded as interrupted. */
  readonly interrupted: string | undefined
}

/** What keeps an export from being taken. */
export type ImportError = InvalidInput | InvalidExport | InvalidSessionId | SessionAlreadyExists | SessionStoreError

/** How much is looked at without a pause: it takes about 10 ms. */
const atOnce = { lines: 64, characters: 500_000 } as const

/**
 * Creates the sessions of an export, or of several behind each other: all, or none where one of its lines is not what it
 * must be (`InvalidExport`, which tells the line and nothing of what stands there), a name is taken
 * (`SessionAlreadyExists`) or the store fails. `lines` are without their ends; a text is taken apart at its ends of lines.
 *
 * An operation that ran is recorded as interrupted, by `import`, with its open calls and tasks: nothing goes on by
 * itself. Otherwise the same session exported again is the same text, but where `as` gives it another name. Secrets that
 * this process knows are left out, as everywhere. The whole export is held in memory. Interruption before the store is
 * asked leaves nothing; after that all or nothing.
 */
export const importSessions = <E = never, R = never>(
  lines: Stream.Stream<string, E, R> | Iterable<string>,
  given?: ImportOptions
): Effect.Effect<Imported, E | ImportError, R | SessionStore> =>
  Effect.suspend((): Effect.Effect<Imported, E | ImportError, R | SessionStore> => {
    const options = plainOptions(given)
    if (options instanceof InvalidInput) return options
    const as = options?.as
    const problem = as === undefined ? undefined : SessionId.check(as)
    if (problem !== undefined) return problem
    const stream = streamOf(lines)
    if (stream === undefined) {
      return new InvalidInput({ path: "lines", reason: "they are neither a text, nor an Iterable, nor a Stream" })
    }
    const reading = new Reading(as !== undefined)
    const all = Stream.runForEachChunk(stream, (chunk) => readAll(reading, Chunk.toReadonlyArray(chunk), 0))
    return Effect.flatMap(all, (): Effect.Effect<Imported, ImportError, SessionStore> => {
      const read = reading.end()
      if (read instanceof InvalidExport) return read
      return store(as === undefined ? read : renamed(read, as))
    })
  })

/** Takes lines from one on, with a pause after as much as may be looked at without one. */
const readAll = (reading: Reading, lines: ReadonlyArray<string>, from: number): Effect.Effect<void, InvalidExport> =>
  Effect.suspend(() => {
    let size = 0
    for (let i = from; i < lines.length; i++) {
      const line = lines[i]!
      const wrong = reading.add(line)
      if (wrong !== undefined) return wrong
      size += line.length
      if (size > atOnce.characters) return Effect.zipRight(pause, readAll(reading, lines, i + 1))
    }
    return pause
  })

/** `undefined` where they are no lines. */
const streamOf = <E, R>(
  lines: Stream.Stream<string, E, R> | Iterable<string>
): Stream.Stream<string, E, R> | undefined => {
  if (typeof lines === "string") return Stream.rechunk(Stream.fromIterable(lines.split("\n")), atOnce.lines)
  if (typeof lines !== "object" || lines === null) return undefined
  try {
    if (Stream.StreamTypeId in lines) return Stream.rechunk(lines, atOnce.lines)
    return Symbol.iterator in lines ? Stream.rechunk(Stream.fromIterable(lines), atOnce.lines) : undefined
  } catch {
    // A proxy that fails at being looked at is none.
    return undefined
  }
}

const store = (
  read: ReadonlyArray<Read>
): Effect.Effect<Imported, SessionAlreadyExists | SessionStoreError, SessionStore> =>
  Effect.gen(function* () {
    const sessions = yield* SessionStore
    const ids = yield* Ids
    const now = yield* Clock.currentTimeMillis
    const used = new Map<string, Usage.Usage>()
    const begun: Array<Begun> = []
    // Children first: what they used is told by the ends of their tasks.
    for (const it of read.toReversed()) {
      const { told } = it
      const ends = endsOf(it, now, (child) => used.get(child) ?? Usage.zero)
      const entries = [...it.entries, ...ends]
      used.set(told.id, usageOf(entries))
      begun.push({ session: { ...told, incarnation: ids.unsafeNext() }, base: null, entries })
    }
    begun.reverse()
    yield* Effect.catchTag(sessions.begin(begun), "SessionNotFound", (error: SessionNotFound) => Effect.die(error))
    return {
      sessions: begun.map(({ entries, session: { id } }, i) => {
        const { running } = read[i]!
        const interrupted = running === undefined ? undefined : entries[running - 1]!.operationId
        return { id, entries: entries.length, interrupted }
      })
    }
  })
