/**
 * Runs the fault matrix, and prints how much of what was recorded was run. Exits with 1 where something does not hold.
 *
 *     npm run test:faults
 *     npm run test:faults -- kills
 *     npm run test:faults -- actions --every 20
 */
import { parseArgs } from "node:util"
import { Cause, Effect, Layer } from "effect"
import { SessionStore } from "effect-baton"
import type { Failpoints } from "effect-baton/testing"
import { actions, faultsOf, hitsOver } from "./support/actions.js"
import { type Life, layerSqlite } from "./support/engine.js"
import { fileLimit, pageLimit } from "./support/full.js"
import { hammer } from "./support/hammer.js"
import { type Backend, matrix, noOrphans, recorded, type Result, sqlite } from "./support/matrix.js"
import { postgres, server } from "./support/postgres.js"
import { rounds } from "./support/zombie.js"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    every: { type: "string", default: "1" },
    only: { type: "string", default: "" },
    postgres: { type: "boolean", default: false },
    host: { type: "string" }
  }
})
const wanted = (part: string) => positionals.length === 0 || positionals.includes(part)

/** Every n-th of a list, of which something holds. */
const sample = <A extends Failpoints.Hit>(all: ReadonlyArray<A>): ReadonlyArray<A> =>
  all.filter((it, i) => i % Number(values.every) === 0 && `${it.point}#${it.hit}`.includes(values.only))

let run = 0
let recordedInAll = 0
let held = true

const refuse = (name: string, at: string, wrong: ReadonlyArray<string>): void => {
  for (const it of new Set(wrong)) {
    held = false
    process.stdout.write(`WRONG  ${name}, ${at}: ${it}\n`)
  }
}

const counted = <E>(name: string, of: number, part: (tell: (result: Result) => void) => Effect.Effect<unknown, E>) =>
  Effect.suspend(() => {
    const began = performance.now()
    let done = 0
    recordedInAll += of
    const tell = ({ at, reached, wrong }: Result) => {
      done++
      if (reached) run++
      refuse(name, at, reached ? wrong : [...wrong, "it was not reached"])
      if (done % 50 === 0 || done === of) {
        const seconds = ((performance.now() - began) / 1000).toFixed(0)
        process.stdout.write(`${name}: ${done} of ${of} in ${seconds} s\n`)
      }
    }
    return part(tell)
  })

const kills = (backend: Backend) =>
  Effect.gen(function* () {
    const points = sample(yield* recorded(backend))
    yield* counted(`kills, ${backend.name}`, points.length, (tell) =>
      matrix(
        points.map((point) => [point]),
        backend,
        tell
      )
    )
    const step = Math.ceil(points.length / 6)
    // Recovery is killed in its turn, five times over.
    const chains = points
      .filter((_, i) => i % step === step >> 1)
      .map((first) => [first, ...[2, 3, 5, 8, 13].map((hit) => ({ point: "*", hit }))])
    yield* counted(`kills of the recovery, ${backend.name}`, chains.length, (tell) => matrix(chains, backend, tell))
    refuse(`kills, ${backend.name}`, "the end", yield* noOrphans)
  })

const inProcess = (name: string, store: (folder: string) => Life["store"]) =>
  Effect.gen(function* () {
    const faults = sample(faultsOf(yield* hitsOver(store)))
    yield* counted(`faults, ${name}`, faults.length, (tell) => actions(store, faults, tell))
  })

const onPostgres = Effect.gen(function* () {
  const backend = postgres(values.host ?? (yield* server))
  if (wanted("kills")) yield* kills(backend)
  if (wanted("zombies")) yield* zombies(backend)
  if (wanted("crowds")) yield* crowds(backend)
}).pipe(Effect.scoped)

const main = Effect.gen(function* () {
  if (values.postgres) return yield* onPostgres
  if (wanted("kills")) yield* kills(sqlite)
  if (wanted("actions") || wanted("memory")) yield* inProcess("memory", () => Layer.fresh(SessionStore.layerMemory))
  if (wanted("actions") || wanted("sqlite")) yield* inProcess("SQLite", layerSqlite)
  if (wanted("zombies")) yield* zombies(sqlite)
  if (wanted("crowds")) yield* crowds(sqlite)
  if (wanted("full")) yield* fullDisks
})

/** Owners that are frozen, five at a time. */
const zombies = (backend: Backend) =>
  counted(`frozen owners, ${backend.name}`, 50, (tell) =>
    Effect.forEach(
      [1, 2, 3, 4, 5],
      (seed) => {
        const at = `owner ${seed}`
        const one = () => tell({ at, reached: true, wrong: [] })
        return Effect.map(rounds(backend, seed, 10, one), (wrong) =>
          refuse(`frozen owners, ${backend.name}`, at, wrong)
        )
      },
      { concurrency: "unbounded" }
    )
  )

/** Five processes on one database. */
const crowds = (backend: Backend) =>
  counted(`five processes, ${backend.name}`, 1, (tell) =>
    Effect.map(hammer(backend, 5, 4), (wrong) => tell({ at: "all", reached: true, wrong }))
  )

const fullDisks = counted("full disks, SQLite", 2, (tell) =>
  Effect.gen(function* () {
    tell({ at: "a limit of the file", reached: true, wrong: yield* fileLimit })
    tell({ at: "a limit of the pages", reached: true, wrong: yield* pageLimit })
  })
)

await Effect.runPromise(Effect.catchAllCause(main, (cause) => Effect.die(new Error(Cause.pretty(cause)))))
process.stdout.write(`${run}/${recordedInAll} (${Math.floor((100 * run) / recordedInAll)}%)\n`)
process.exit(held && run === recordedInAll ? 0 : 1)
