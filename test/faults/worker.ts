/**
 * A process of the fault tests: does what its one argument says, in JSON.
 */
import { createInterface } from "node:readline"
import { Cause, Effect, Fiber, Option } from "effect"
import { chaosLeases, randomOf, sessionIds } from "./support/chaos.js"
import { crowd, doOne, kinds } from "./support/crowd.js"
import { atRest, firstLife, layerStore, recover, start, startWith } from "./support/engine.js"
import { fill } from "./support/full.js"
import { hammered, hammerLeases } from "./support/hammer.js"
import type { Job } from "./support/job.js"
import { type Told, zombie, zombieLeases } from "./support/zombie.js"

const run = (job: Job): Effect.Effect<unknown, unknown> => {
  const { folder } = job
  const store = layerStore(folder, job.server)
  switch (job.mode) {
    case "scenario":
      return Effect.map(firstLife({ folder, store, plan: job.plan }), ({ hits }) => hits)
    case "recover":
      return Effect.gen(function* () {
        const started = yield* start({ folder, store, plan: job.plan, isFirst: false })
        yield* recover(started)
        return started.points.hits
      }).pipe(Effect.scoped)
    case "chaos":
      return Effect.gen(function* () {
        const started = yield* startWith({ folder, store, isFirst: true, leases: chaosLeases }, crowd)
        const { actors, ledgers, sessions, store: kept } = started
        const open = yield* Effect.forEach(
          sessionIds,
          (id) => atRest({ agent: actors.agent, sessions, store: kept }, id),
          { concurrency: "unbounded" }
        )
        process.stdout.write("ready\n")
        const random = randomOf(job.seed)
        yield* Effect.forEach(
          open,
          (session) => {
            let n = 0
            const one = Effect.suspend(() => {
              const kind = kinds[Math.floor(random() * kinds.length)]!
              return doOne(session, kind, `${job.seed}-${session.id}-${n++}`, ledgers.acks)
            })
            return Effect.forever(one)
          },
          { concurrency: "unbounded" }
        )
      }).pipe(Effect.scoped)
    case "zombie":
      return Effect.gen(function* () {
        const { actors, sessions } = yield* startWith({ folder, store, isFirst: true, leases: zombieLeases }, zombie)
        const tell = (told: Told) => process.stdout.write(`${JSON.stringify(told)}\n`)
        const names = createInterface(process.stdin)[Symbol.asyncIterator]()
        for (;;) {
          const { done, value: id } = yield* Effect.promise(() => names.next())
          if (done === true) return
          const session = yield* sessions.open({ id, agent: actors.agent })
          const working = yield* Effect.fork(Effect.exit(session.prompt("work")))
          tell({ begun: id })
          const exit = yield* Fiber.join(working)
          const error = exit._tag === "Failure" ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
          tell({ session: id, ended: error === undefined ? String(exit) : error._tag })
        }
      }).pipe(Effect.scoped)
    case "fill":
      return Effect.gen(function* () {
        const { actors, ledgers, sessions } = yield* startWith({ folder, store, isFirst: true }, crowd)
        const session = yield* sessions.open({ id: "full", agent: actors.agent })
        return { failed: yield* fill(session, ledgers.acks) }
      }).pipe(Effect.scoped)
    case "hammer":
      return Effect.gen(function* () {
        const { actors, ledgers, sessions } = yield* startWith(
          { folder, store, isFirst: true, leases: hammerLeases },
          crowd
        )
        yield* Effect.forEach(
          hammered,
          (id) =>
            Effect.gen(function* () {
              const session = yield* sessions.open({ id, agent: actors.agent })
              for (let n = 0; n < job.prompts; n++) yield* doOne(session, "tools", `${job.name}-${n}`, ledgers.acks)
            }),
          { concurrency: "unbounded" }
        )
      }).pipe(Effect.scoped)
  }
}

void Effect.runPromise(run(JSON.parse(process.argv[3]!) as Job)).then((told) => {
  process.stdout.write(`${JSON.stringify(told)}\n`)
})
