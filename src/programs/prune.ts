/**
 * Removing sessions by age, number and size.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidInput, type LockError, type SessionBusy, type SessionStoreError } from "../services/Errors.js"
import type { Pruned, PrunedTree, PruneOptions, Removed } from "../services/Retention.js"
import type { Measured, SessionRow } from "../services/SessionStore.js"
import { type Engine, engineOf, type Needs } from "./engine.js"
import { plainOptions } from "./input.js"
import { holdTree, removeHeld } from "./sessions.js"

/**
 * Removes sessions, each with those of its tasks, that were used last too long ago, or are more or larger than may be
 * left: what was used longest ago first, and no more of them than have to go. Those in which something runs or is left
 * unfinished, in which an input waits, or which somebody holds are told and left, as is one that cannot be removed;
 * nothing is interrupted. Reads all that is stored. `SessionStoreError` where the store fails: what was removed until
 * then is. Interruption leaves each tree whole or gone.
 */
export const prune = (
  options: PruneOptions,
  over: Context.Context<never> = Context.empty()
): Effect.Effect<Pruned, InvalidInput | SessionStoreError, Needs> =>
  Effect.withFiberRuntime((fiber) => {
    const limits = limitsOf(options)
    if (limits instanceof InvalidInput) return limits
    const now = Context.unsafeGet(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis()
    return pruned(engineOf(fiber, over), limits, now)
  })

/** A session with those below it. */
interface Tree {
  readonly root: SessionRow
  /** The root first. */
  readonly all: ReadonlyArray<Measured>
  readonly activeAt: number
  readonly entries: number
  readonly bytes: number
}

interface Limits {
  readonly age: number
  readonly count: number
  readonly bytes: number
  readonly keep: (session: SessionRow) => boolean
  readonly isDry: boolean
}

const pruned = (engine: Engine, limits: Limits, now: number): Effect.Effect<Pruned, SessionStoreError, Needs> =>
  Effect.gen(function* () {
    const trees = treesOf(yield* engine.store.measure)
    const waiting = new Set((yield* engine.store.unsettled).map(({ incarnation }) => incarnation))
    const removed: Array<PrunedTree> = []
    const skipped: Array<{ readonly id: string; readonly reason: string }> = []
    let sessions = trees.length
    let bytes = trees.reduce((sum, it) => sum + it.bytes, 0)
    for (const tree of trees) {
      const { activeAt, root } = tree
      const reason =
        now - activeAt > limits.age
          ? "age"
          : sessions > limits.count
            ? "count"
            : bytes > limits.bytes
              ? "bytes"
              : undefined
      // Those that follow were used later, and no limit becomes narrower.
      if (reason === undefined) break
      if (limits.keep(root)) continue
      const gone = yield* taken(engine, tree, waiting, limits.isDry)
      if (typeof gone === "string") skipped.push({ id: root.id, reason: gone })
      else {
        removed.push({ id: root.id, reason, activeAt, ...gone })
        sessions--
        bytes -= gone.bytes
      }
    }
    return { removed, skipped, left: { sessions, bytes } }
  })

/** Removes a tree, or says why it stays. */
const taken = (
  engine: Engine,
  tree: Tree,
  waiting: ReadonlySet<string>,
  isDry: boolean
): Effect.Effect<Removed | string, SessionStoreError> => {
  const busy = tree.all.find(({ row }) => row.running !== null || waiting.has(row.incarnation))
  if (busy !== undefined) return Effect.succeed(busyReason(engine, busy.row))
  const elsewhere = tree.all.find(({ row }) => row.leased && row.owner !== engine.history.owner)
  if (elsewhere !== undefined) {
    const { id, owner } = elsewhere.row
    return Effect.succeed(`session "${id}" is held in another process (${owner})`)
  }
  if (isDry) return dry(engine, tree)
  const told = ({ message }: LockError) => Effect.succeed(message)
  return Effect.scoped(
    Effect.flatMap(holdTree(engine, tree.root), () =>
      Effect.flatMap(
        asMeasured(engine, tree),
        (rows): Effect.Effect<Removed | string, SessionBusy | SessionStoreError> =>
          rows === undefined ? Effect.succeed("it was used or removed meanwhile") : removeHeld(engine, rows)
      )
    )
  ).pipe(Effect.catchTags({ SessionBusy: told, SessionDeadlock: told, TaskDepthExceeded: told }))
}

const dry = (engine: Engine, { all, bytes, entries }: Tree): Effect.Effect<Removed | string> =>
  Effect.map(
    Effect.forEach(all, ({ row: { id } }) => engine.lock.holder(id)),
    (holders) => {
      const holder = holders.find(Option.isSome)?.value
      if (holder !== undefined) return `session "${holder.session}" is already running ${holder.kind}`
      return { sessions: all.map(({ row }) => row.id), entries, bytes }
    }
  )

/** The rows of a tree that is held, if it is as it was measured: what was used since is not what was to go. */
const asMeasured = (
  { store }: Engine,
  { all }: Tree
): Effect.Effect<ReadonlyArray<SessionRow> | undefined, SessionStoreError> =>
  Effect.gen(function* () {
    const rows: Array<SessionRow> = []
    const known = new Set(all.map(({ row }) => row.incarnation))
    for (const { row } of all) {
      const now = yield* store.get(row.id)
      if (now?.incarnation !== row.incarnation || now.nextSeq !== row.nextSeq || now.inbox !== row.inbox)
        return undefined
      const children = yield* store.list(row.id)
      if (children.some(({ incarnation }) => !known.has(incarnation))) return undefined
      rows.push(now)
    }
    return rows
  })

const busyReason = ({ history }: Engine, { id, leased, owner, running }: SessionRow): string => {
  if (running === null) return `an input waits in session "${id}"`
  if (history.current(id) !== undefined) return `session "${id}" is already running ${running.kind}`
  return leased && owner !== history.owner
    ? `session "${id}" is already running ${running.kind} in another process (${owner})`
    : `session "${id}" has an unfinished ${running.kind}`
}

/** What is stored, each session with those below it: what was used longest ago first. */
const treesOf = (measured: ReadonlyArray<Measured>): ReadonlyArray<Tree> => {
  const byId = new Map(measured.map((it) => [it.row.id, it]))
  const trees = new Map<Measured, Array<Measured>>()
  for (const it of measured) {
    let root = it
    for (;;) {
      const above = byId.get(root.row.parent ?? "")
      // What stands no higher is no parent: a row that is damaged may name itself.
      if (above === undefined || above.row.depth >= root.row.depth) break
      root = above
    }
    const tree = trees.get(root)
    if (tree === undefined) trees.set(root, [it])
    else if (it === root) tree.unshift(it)
    else tree.push(it)
  }
  return Array.from(trees, ([{ row: root }, all]) => ({
    root,
    all,
    // A fork may have been made later than what it ends with.
    activeAt: all.reduce((last, { activeAt, row }) => Math.max(last, activeAt, row.createdAt), -Infinity),
    entries: all.reduce((sum, { entries }) => sum + entries, 0),
    bytes: all.reduce((sum, { bytes }) => sum + bytes, 0)
  })).toSorted((a, b) => a.activeAt - b.activeAt)
}

/** The limits as numbers, or what is wrong with them. */
const limitsOf = (given: PruneOptions | undefined): Limits | InvalidInput => {
  const options = plainOptions(given)
  if (options instanceof InvalidInput) return options
  const { dryRun = false, keep = () => false, maxBytes, maxSessions, olderThan } = options ?? {}
  const wrong = (path: string, reason: string) => new InvalidInput({ path, reason })
  if (olderThan === undefined && maxSessions === undefined && maxBytes === undefined) {
    return wrong("options", "no limit is given")
  }
  const age = olderThan === undefined ? Number.POSITIVE_INFINITY : ageOf(olderThan)
  if (age === undefined) return wrong("olderThan", "it is no duration from 0 on")
  if (maxSessions !== undefined && !(Number.isSafeInteger(maxSessions) && maxSessions >= 0)) {
    return wrong("maxSessions", "it is not a whole number from 0 on")
  }
  if (maxBytes !== undefined && !(Number.isFinite(maxBytes) && maxBytes >= 0)) {
    return wrong("maxBytes", "it is not a number from 0 on")
  }
  if (typeof keep !== "function") return wrong("keep", "it is not a function")
  if (typeof dryRun !== "boolean") return wrong("dryRun", "it is neither true nor false")
  const most = Number.POSITIVE_INFINITY
  return { age, count: maxSessions ?? most, bytes: maxBytes ?? most, keep, isDry: dryRun }
}

const ageOf = (given: Duration.DurationInput): number | undefined => {
  try {
    return millisOf(given)
  } catch {
    // A proxy that fails at being looked at is none.
    return undefined
  }
}

/** `Duration` takes what is none, or less than nothing, for nothing: that would be all there is. */
const millisOf = (given: Duration.DurationInput): number | undefined => {
  const parts: ReadonlyArray<unknown> = Array.isArray(given) ? given : [given]
  const isNone = (part: unknown) =>
    (typeof part === "number" && !(Number.isFinite(part) && part >= 0)) ||
    (typeof part === "bigint" && part < 0n) ||
    (typeof part === "string" && part.trim().startsWith("-"))
  if (parts.some(isNone)) return undefined
  const millis = Option.map(Duration.decodeUnknown(given), Duration.toMillis)
  return Option.getOrUndefined(Option.filter(millis, Number.isFinite))
}
