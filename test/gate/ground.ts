/**
 * What every row of the table stands on: a session with a history of its own, a secret that nobody may tell, and what
 * must hold after whatever was handed in.
 */
import { inspect } from "node:util"
import { assert } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Redacted } from "effect"
import { Agent, type Entry, type Event, type Model, Secrets, SessionStore, Sessions } from "effect-baton"
import { NodeSandbox } from "effect-baton/node"
import { Recorder } from "effect-baton/testing"
import type { Sandbox } from "../../src/services/Sandbox.js"
import { engineOver } from "../support/engine.js"

/** A secret. Values hold it wherever they can, so that an error which repeats them tells it. */
export const canary = "canary-2b7e151628aed2a6"

/**
 * What becomes of a value:
 * - `A` it is taken as it is;
 * - `R` refused before acceptance with a typed error, nothing written;
 * - `T` a typed tool result that the model sees, the operation goes on;
 * - `P` a typed provider error, tried again where it is transient;
 * - `C` cleaned and flagged;
 * - `L` limited with a visible marker;
 * - `Q` the session is closed for operations and readable up to the record; looked at where it is tried (stored.ts).
 */
export type Outcome = "A" | "R" | "T" | "P" | "C" | "L" | "Q"

/** One row: what is handed in, and what becomes of it. */
export interface Row<V> {
  readonly name: string
  /** Made anew for each run, before the clock is started. */
  readonly value: () => V
  readonly outcome: Exclude<Outcome, "Q">
  /** What is told to whoever handed it in: the error's message, the tool's result, the notice. */
  readonly tells?: RegExp | undefined
}

/** Where values are handed in: the world for one of them, and the call that hands it in. */
export interface Stage {
  /** Answers "before" and "after" with "ok". */
  readonly model: Layer.Layer<Model.Model, unknown>
  readonly agent?: Agent.Agent<Sandbox> | undefined
  readonly act: (
    session: Sessions.Session,
    sessions: Sessions.Sessions["Type"]
  ) => Effect.Effect<unknown, unknown, Sandbox | SessionStore.SessionStore>
}

/** What there is to see afterwards. */
interface Evidence {
  readonly exit: Exit.Exit<unknown, unknown>
  /** The entries that the call wrote, in its session and in the children of it. */
  readonly entries: ReadonlyArray<Entry.Entry>
  readonly events: ReadonlyArray<Event.Event>
  readonly untouched: boolean
}

/** How often a transient failure is tried again here. */
const retries = 1

/** Limits under which nothing that never ends holds a test up; times in milliseconds. */
export const limits = { retries, retryDelay: 0, modelIdle: 2_000, toolDeadline: 2_000, toolGrace: 20 }

/** The longest that the event loop may be blocked, in milliseconds, and how often it is measured at most. */
const longest = 100
const measurements = 3

/** Hands a value in and looks at everything. Other tests share the machine, so the least blocked run counts. */
export const check = <V>(stage: (value: V) => Stage, row: Row<V>, root: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    let blocked = Number.POSITIVE_INFINITY
    for (let run = 0; run < measurements && blocked >= longest; run++) {
      blocked = Math.min(blocked, yield* once(stage(row.value()), row, root))
    }
    assert.isBelow(blocked, longest, "the event loop was blocked, in milliseconds")
  }).pipe(Effect.orDie)

/** One run; gives how long the event loop was blocked, in milliseconds. */
const once = ({ act, agent, model }: Stage, row: Row<unknown>, root: string) =>
  Effect.gen(function* () {
    yield* Secrets.keep(Redacted.make(canary))
    const recorder = yield* Recorder.make
    const sessions = yield* Sessions.Sessions
    const session = yield* sessions.open({ id: "s", agent: agent ?? Agent.make("a", { limits }) })
    assert.strictEqual((yield* session.prompt("before", { limits })).text, "ok")
    const before = yield* session.history
    const letter = JSON.stringify(before)
    const all = yield* everything
    const heard = (yield* recorder.events).length

    const [exit, blocked] = yield* blockedWhile(Effect.exit(act(session, sessions)))

    const now = yield* everything
    const untouched = now === all
    // Every text that is stored comes back from any store as it is.
    assert.notMatch(now, /(?<!\\)\\u(?:d[89a-f]|0000)/i, "a text is stored that is not clean")
    const after = yield* session.history
    // Nothing earlier is lost.
    assert.strictEqual(JSON.stringify(after.slice(0, before.length)), letter)
    const events = (yield* recorder.events).slice(heard)
    const children = yield* Effect.forEach(yield* sessions.list("s"), ({ id }) =>
      Effect.flatMap(sessions.get({ id, agent: Agent.make("a") }), (child) => child.history)
    )
    const entries = [...after.slice(before.length), ...children.flat()]
    assertNoDefect(exit, entries)
    assertNoSecret({ error: Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined, entries, events })
    shows[row.outcome]({ exit, entries, events, untouched })
    if (row.tells !== undefined) assert.match(told({ exit, entries, events, untouched }), row.tells)
    // A next prompt works.
    assert.strictEqual((yield* session.prompt("after", { limits })).text, "ok")
    return blocked
  }).pipe(
    Effect.scoped,
    Effect.provide(
      engineOver(Layer.merge(Layer.merge(SessionStore.layerMemory, model), NodeSandbox.layer({ root, killGrace: 50 })))
    )
  )

/** Everything that is stored, to the letter. */
const everything = Effect.gen(function* () {
  const sessions = yield* Sessions.Sessions
  const rows = [...(yield* sessions.list()), ...(yield* sessions.list("s"))]
  const histories = yield* Effect.forEach(rows, ({ id }) =>
    Effect.flatMap(sessions.get({ id, agent: Agent.make("a") }), (session) => session.history)
  )
  return JSON.stringify([rows, histories])
})

const shows: Readonly<Record<Exclude<Outcome, "Q">, (evidence: Evidence) => void>> = {
  A: (it) => {
    assertSuccess(it)
    assert.deepStrictEqual([failures(it), marks(it), flags(it)], [[], [], []])
  },
  R: (it) => {
    const tag = tagOf(it.exit)
    assert.isTrue(refusals.has(tag), `${tag} is no refusal: ${told(it)}`)
    assert.isTrue(it.untouched, "something was written")
    assert.deepStrictEqual(it.entries, [])
  },
  T: (it) => {
    // A command of the application is told as an error too.
    if (tagOf(it.exit) !== "SandboxError") assertSuccess(it)
    assert.isAbove(failures(it).length, 0, `no tool result is an error: ${told(it)}`)
  },
  P: (it) => {
    const tag = tagOf(it.exit)
    assert.isTrue(providerErrors.has(tag), `${tag} is no provider error: ${told(it)}`)
    const tried = it.events.filter(({ _tag }) => _tag === "ModelRetry").length
    assert.strictEqual(tried, tag === "ModelUnavailable" ? retries : 0, "tried again")
    assert.isTrue(it.entries.some((entry) => entry._tag === "OperationSettled" && entry.outcome === "failed"))
  },
  C: (it) => {
    assertSuccess(it)
    assert.isAbove(flags(it).length, 0, "nothing says that it was cleaned")
  },
  L: (it) => {
    assertSuccess(it)
    assert.isAbove(marks(it).length, 0, `nothing says that it was limited: ${told(it)}`)
    // Memory is bounded by what the marker stands for.
    assert.isBelow(JSON.stringify(it.entries).length, 6_000_000)
  }
}

const refusals: ReadonlySet<string> = new Set([
  "InvalidInput",
  "InvalidSessionId",
  "SessionNotFound",
  "ToolNameConflict",
  "AgentNotFound",
  "SkillNotFound",
  "EntryNotFound",
  "SessionAlreadyExists",
  "InvalidExport"
])

const providerErrors: ReadonlySet<string> = new Set(["ModelUnavailable", "ModelRejected", "ContextOverflow"])

const tagOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "success"
  const error = Cause.squash(exit.cause)
  return typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : "untyped"
}

const assertSuccess = (it: Evidence): void => {
  if (Exit.isFailure(it.exit)) assert.fail(`it failed: ${Cause.pretty(it.exit.cause).slice(0, 2_000)}`)
}

/** Tool results that are errors. */
const failures = ({ entries }: Evidence): ReadonlyArray<string> =>
  entries.flatMap((it) => (it._tag === "ToolSettled" && it.outcome !== "success" ? [it.result] : []))

const results = ({ entries }: Evidence): ReadonlyArray<string> =>
  entries.flatMap((it) => (it._tag === "ToolSettled" ? [it.result] : []))

/** Signs that something was left out. */
const marks = (it: Evidence): ReadonlyArray<string> => [
  ...results(it).filter((text) => limited.test(text)),
  ...it.events.flatMap((event) => (event._tag === "Notice" && limited.test(event.message) ? [event.message] : [])),
  ...skips(it).filter((text) => limited.test(text))
]

/** What was found in the workspace and is not used. */
const skips = ({ events }: Evidence): ReadonlyArray<string> =>
  events.flatMap((event) =>
    event._tag === "WorkspaceRead" ? event.skipped.map(({ path, reason }) => `${path}: ${reason}`) : []
  )

const limited =
  /characters left out|are not shown|Only the first|there are more|ran out of its time|left out|only its first \d+ bytes/

/** Signs that something was cleaned. */
const flags = ({ entries, events }: Evidence): ReadonlyArray<string> => [
  ...entries.flatMap((it) => {
    const text = JSON.stringify(it)
    if (cleaned.test(text)) return [text]
    return it._tag === "Assistant" && it.model !== "" && !it.usageReported ? ["estimated usage"] : []
  }),
  ...events.flatMap((event) => (event._tag === "Notice" ? [event.message] : []))
]

const cleaned = /\ufffd|invalid_tool/

/** What is told to whoever handed the value in. */
const told = (it: Evidence): string =>
  [
    Exit.isFailure(it.exit) ? messageOf(Cause.squash(it.exit.cause)) : "",
    ...results(it),
    ...it.events.flatMap((event) => (event._tag === "Notice" ? [event.message] : [])),
    ...skips(it)
  ].join("\n")

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : inspect(error))

const assertNoDefect = (exit: Exit.Exit<unknown, unknown>, entries: ReadonlyArray<Entry.Entry>): void => {
  if (Exit.isFailure(exit) && Cause.isDie(exit.cause)) assert.fail(`a defect: ${Cause.pretty(exit.cause)}`)
  if (Exit.isFailure(exit) && Cause.isInterrupted(exit.cause)) assert.fail("interrupted")
  const failed = entries.flatMap((it) => (it._tag === "OperationSettled" && it.error?.tag === "Defect" ? [it] : []))
  assert.deepStrictEqual(failed, [])
}

const assertNoSecret = (evidence: object): void => {
  for (const [what, value] of Object.entries(evidence)) {
    const text = `${value instanceof Error ? value.message : ""}${JSON.stringify(value)}${inspect(value, { depth: 6 })}`
    assert.isFalse(text.includes(canary), `the secret is told in ${what}`)
  }
}

/**
 * Runs an effect and tells how long the event loop was blocked at most, in milliseconds: of the time that passed and
 * the time that this process had, whichever is less. The one is long where others use the machine, the other where the
 * collector has threads of its own.
 */
const blockedWhile = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [A, number], E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      let last = performance.now()
      let used = process.cpuUsage()
      let most = 0
      const look = (): number => {
        const now = performance.now()
        if (now - last > most) {
          const { system, user } = process.cpuUsage(used)
          most = Math.max(most, Math.min(now - last, (system + user) / 1_000))
        }
        last = now
        used = process.cpuUsage()
        return most
      }
      return { look, timer: setInterval(look, 1) }
    }),
    ({ look }) => Effect.map(effect, (value) => [value, look()] as const),
    ({ timer }) => Effect.sync(() => clearInterval(timer))
  )
