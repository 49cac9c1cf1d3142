/**
 * All that can go wrong besides the end of the process, at every point, in process.
 */
import { Effect, Fiber } from "effect"
import { Failpoints } from "effect-baton/testing"
import { doubled, type Effected, problems } from "../../support/recoveries.js"
import { acknowledged, snapshot } from "./checks.js"
import { type Life, start } from "./engine.js"
import { linesOf } from "./ledger.js"
import { folder, type Result } from "./matrix.js"
import { type Ack, perform } from "./scenario.js"

export interface Fault extends Failpoints.Hit {
  readonly action: Exclude<Failpoints.Action, "kill">
}

/** The faults of some points: each with every action that it can take. */
export const faultsOf = (hits: ReadonlyArray<Failpoints.Hit>): ReadonlyArray<Fault> =>
  hits.flatMap((hit) =>
    Failpoints.actionsAt(hit.point).flatMap((action) => (action === "kill" ? [] : [{ ...hit, action }]))
  )

/** The points of the scenario in this process, over a store. */
export const hitsOver = (store: (folder: string) => Life["store"]) =>
  Effect.scoped(
    Effect.gen(function* () {
      const it = yield* folder
      const started = yield* start({ folder: it, store: store(it), isFirst: true })
      yield* perform(started.sessions, started.actors, started.ledgers)
      return [...started.points.hits]
    })
  )

/** Runs the scenario with one fault, and tells what is wrong after it is gone. */
export const withFault = (store: (folder: string) => Life["store"], fault: Fault): Effect.Effect<Result> =>
  Effect.scoped(
    Effect.gen(function* () {
      const at = `${fault.action} at ${fault.point}#${fault.hit}`
      const it = yield* folder
      const wrong: Array<string> = []
      const began = yield* Effect.either(
        Effect.sandbox(start({ folder: it, store: store(it), isFirst: true, plan: { ...fault, delay: 5 } }))
      )
      if (began._tag === "Left") {
        // The store itself did not open: it does the next time.
        const again = yield* Effect.either(start({ folder: it, store: store(it), isFirst: true }))
        return { at, reached: true, wrong: again._tag === "Left" ? [`it does not open again: ${again.left}`] : [] }
      }
      const started = began.right
      // A fiber of its own: the fault may be its interruption.
      const ran = yield* Fiber.await(yield* Effect.fork(perform(started.sessions, started.actors, started.ledgers)))
      const reached = started.points.hits.some(({ hit, point }) => hit === fault.hit && point === fault.point)
      const acks = linesOf<Ack>(it, "acks")
      // The first step of all opens the session, outside of any operation.
      if (ran._tag === "Failure" && acks.length > 0) wrong.push(`the scenario did not go on: ${ran.cause}`)
      for (const ack of acks) {
        if ("died" in ack && fault.action !== "die") wrong.push(`${ack.step} died: ${ack.died}`)
      }
      const session = yield* started.sessions.open({ id: "s", agent: started.actors.agent })
      yield* session.resumed?.ended ?? Effect.void
      const { text } = yield* session.prompt("canary")
      if (text !== "ok") wrong.push(`the canary was answered with ${JSON.stringify(text)}`)
      const kept = yield* snapshot(started.store)
      wrong.push(...problems(new Map([...kept].filter(([id]) => isSettled(id)))))
      for (const [id, { row }] of kept) {
        if (isSettled(id) && row.owner !== null) wrong.push(`${id}: still owned`)
      }
      wrong.push(
        ...acknowledged(
          acks.filter((ack) => "ok" in ack),
          kept
        )
      )
      for (const twice of doubled(linesOf<Effected>(it, "effects"))) wrong.push(`done twice: ${twice}`)
      for (const name of started.points.accepted) wrong.push(`"${name}" was taken twice`)
      return { at, reached, wrong }
    }).pipe(
      Effect.sandbox,
      Effect.timeout("20 seconds"),
      Effect.catchAll((error) =>
        Effect.succeed({
          at: `${fault.action} at ${fault.point}#${fault.hit}`,
          reached: true,
          wrong: [`the session cannot go on: ${String(error)}`]
        })
      )
    )
  )

/** The session that the canary was sent to, and all below it; others are left as their own step has left them. */
const isSettled = (id: string): boolean => id === "s" || id.startsWith("task:s:") || id.startsWith("task:task:s:")

export const actions = (
  store: (folder: string) => Life["store"],
  faults: ReadonlyArray<Fault>,
  tell: (result: Result) => void
): Effect.Effect<ReadonlyArray<Result>> =>
  Effect.forEach(faults, (fault) => Effect.tap(withFault(store, fault), (result) => Effect.sync(() => tell(result))), {
    concurrency: 24
  })
