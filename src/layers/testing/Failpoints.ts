/**
 * A store in which something goes wrong by plan, and a record of every point at which it could.
 *
 * Record a scenario once without a plan: `hits` lists every point that it came by. Then run it once for each of them with
 * a plan, and look whether what must hold still does. The name of a write's point is made of what it writes, so that
 * the same scenario comes by the same points each time:
 *
 * - `append OperationStarted+User before` and `… after`; several of a kind are counted, as in `ToolStarted*2`. One that
 *   creates child sessions ends in `+child`, one that takes inputs out of the inbox in `+delivered`, one that gives the
 *   session up without an end is `append release`;
 * - `create`, `remove`, `put`, `withdraw` and `renew`, each with `before` and `after`.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SessionStoreError } from "../../services/Errors.js"
import { type Append, SessionStore } from "../../services/SessionStore.js"
import { type Action, Failpoint, type Hit, type Plan } from "../../services/testing/Failpoint.js"

export { type Action, Failpoint, type Hit, type Plan } from "../../services/testing/Failpoint.js"

/** Points that follow a plan, or only record where there is none. For each time the layer is built the hits begin at 1. */
export const layerPoints = (plan?: Plan): Layer.Layer<Failpoint> => Layer.sync(Failpoint, () => make(plan))

/** The store below, with a point before and after each write. */
export const layerStore: Layer.Layer<SessionStore, never, SessionStore | Failpoint> = Layer.effect(
  SessionStore,
  Effect.gen(function* () {
    return over(yield* SessionStore, yield* Failpoint)
  })
)

/** A store with points in place of the one that is given; the points stay within reach. */
export const layer = <E, R>(
  store: Layer.Layer<SessionStore, E, R>,
  plan?: Plan
): Layer.Layer<SessionStore | Failpoint, E, R> =>
  Layer.provideMerge(Layer.provide(layerStore, store), layerPoints(plan))

/** What can go wrong at a point, `kill` aside. */
export const actionsAt = (point: string): ReadonlyArray<Action> => {
  if (point.endsWith(" before")) return ["fail", "die", "interrupt", "delay", "duplicate"]
  if (point.endsWith(" after")) return ["unknown", "die", "interrupt", "delay"]
  return ["fail", "die", "interrupt", "delay"]
}

export const make = (plan?: Plan): Context.Tag.Service<Failpoint> => {
  const hits: Array<Hit> = []
  const counts = new Map<string, number>()
  const accepted: Array<string> = []
  let writing = ""

  const planned = (point: string): Action | undefined => {
    const hit = (counts.get(point) ?? 0) + 1
    counts.set(point, hit)
    hits.push({ point, hit })
    if (plan === undefined || plan.hit !== (plan.point === "*" ? hits.length : hit)) return undefined
    return plan.point === "*" || plan.point === point ? plan.action : undefined
  }

  const unsafeHit = (point: string): void => {
    switch (planned(point)) {
      case "kill":
        return kill()
      case "die":
        throw defect(point)
      case "fail":
      case "unknown":
        throw failure(point)
    }
  }

  const perform = (action: Action | undefined, point: string): Effect.Effect<void, SessionStoreError> => {
    switch (action) {
      case undefined:
      case "duplicate":
        return Effect.void
      case "kill":
        return Effect.sync(kill)
      case "fail":
      case "unknown":
        return failure(point)
      case "die":
        return Effect.die(defect(point))
      case "interrupt":
        return Effect.withFiberRuntime((fiber) => {
          fiber.unsafeInterruptAsFork(fiber.id())
          // Where it can be interrupted, it is before the next step.
          return Effect.yieldNow()
        })
      case "delay":
        return Effect.sleep(plan?.delay ?? defaultDelay)
    }
  }

  const hit = (point: string) => Effect.suspend(() => perform(planned(point), point))

  const twice = <A, E>(name: string, write: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.tap(write, () =>
      Effect.matchCauseEffect(write, {
        onFailure: () => Effect.void,
        onSuccess: () => {
          // Those that say only that something is so may be said twice.
          if (!mustBeRefused(name)) return Effect.void
          accepted.push(name)
          return Effect.die(new Error(`"${name}" was made twice, and taken both times`))
        }
      })
    )

  return {
    hit,
    unsafeHit,
    write: (name, write) =>
      Effect.suspend(() => {
        writing = name
        const before = `${name} before`
        const action = planned(before)
        const made = action === "duplicate" ? twice(name, write) : Effect.zipRight(perform(action, before), write)
        return Effect.zipLeft(made, hit(`${name} after`))
      }),
    hits,
    writing: () => writing,
    accepted
  }
}

/** How long a `delay` is where the plan does not say, in milliseconds: longer than a step, shorter than a lease. */
const defaultDelay = 50

const over = (
  store: Context.Tag.Service<SessionStore>,
  { write }: Context.Tag.Service<Failpoint>
): Context.Tag.Service<SessionStore> => ({
  ...store,
  create: (session) => write("create", store.create(session)),
  begin: (sessions) => write("begin", store.begin(sessions)),
  append: (it) => write(nameOf(it), store.append(it)),
  renew: (...args) => write("renew", store.renew(...args)),
  remove: (...args) => write("remove", store.remove(...args)),
  put: (...args) => write("put", store.put(...args)),
  withdraw: (...args) => write("withdraw", store.withdraw(...args))
})

/** What an append writes, in a few words that are the same each time. */
const nameOf = ({ children, delivered, entries, lease }: Append): string => {
  const kinds: Array<{ readonly tag: string; count: number }> = []
  for (const { _tag: tag } of entries) {
    const last = kinds.at(-1)
    if (last?.tag === tag) last.count++
    else kinds.push({ tag, count: 1 })
  }
  const parts = kinds.map(({ count, tag }) => (count === 1 ? tag : `${tag}*${count}`))
  if (parts.length === 0) parts.push(lease)
  if (children.length > 0) parts.push("child")
  if (delivered.length > 0) parts.push("delivered")
  return `append ${parts.join("+")}`
}

const mustBeRefused = (name: string): boolean => name === "create" || name === "begin" || name.startsWith("append ")

const failure = (point: string): SessionStoreError =>
  new SessionStoreError({ operation: "write", reason: `that was planned at "${point}"` })

const defect = (point: string): Error => new Error(`a defect was planned at "${point}"`)

/** Ends the process as a power cut would. Nothing of it runs after that. */
const kill = (): never => {
  process.kill(process.pid, "SIGKILL")
  for (;;);
}
