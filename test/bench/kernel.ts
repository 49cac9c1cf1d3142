/**
 * What the kernel costs: an operation against a bare semaphore in the same run, a waiter, and an idle session.
 *
 *     npm run bench
 */
import { Agent, Engine, Limits, Model, SessionLock, Sessions } from "effect-baton"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { setTimeout as sleep } from "node:timers/promises"

interface Row {
  readonly what: string
  readonly cost: string
  /** Against the semaphore: the median over the rounds, and the range. */
  readonly ratio?: string
  readonly aim?: string
}

const rows: Array<Row> = []

const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const times = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)}x`
const micros = (value: number): string => `${value.toFixed(2)} us`

const spread = (ratios: ReadonlyArray<number>): string =>
  `${times(median(ratios))} (${times(Math.min(...ratios))} - ${times(Math.max(...ratios))})`

/**
 * Each variant once per round, in turn, so that noise meets all of them; what one operation takes, by round. Nothing is
 * collected in between: a forced collection throws optimised code away, and what follows runs ten times slower.
 */
const interleaved = async <Name extends string>(
  rounds: number,
  variants: { readonly [K in Name]: () => Promise<number> }
): Promise<Record<Name, ReadonlyArray<number>>> => {
  const names = Object.keys(variants) as Array<Name>
  const taken = Object.fromEntries(names.map((name) => [name, [] as Array<number>])) as Record<Name, Array<number>>
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(round + i) % names.length]!
      taken[name].push(await variants[name]())
    }
  }
  return taken
}

const against = (values: ReadonlyArray<number>, base: ReadonlyArray<number>): ReadonlyArray<number> =>
  values.map((value, round) => value / base[round]!)

// -------------------------------------------------------------------- operations

const lock = SessionLock.makeLock(Limits.defaults)
const semaphore = Effect.unsafeMakeSemaphore(1)

/** An operation again and again in one fiber; microseconds for one. */
const loop = <E>(n: number, operation: Effect.Effect<unknown, E>): Effect.Effect<number, E> =>
  Effect.suspend(() => {
    let i = 0
    const start = performance.now()
    return Effect.map(
      Effect.whileLoop({ while: () => i < n, body: () => operation, step: () => void i++ }),
      () => ((performance.now() - start) * 1_000) / n
    )
  })

const prompt = (session: string): SessionLock.LeaseRequest => ({ session, kind: "prompt", operationId: "prompt" })
const task: SessionLock.LeaseRequest = { session: "s", kind: "task", operationId: "task" }

const bare = semaphore.withPermits(1)(Effect.void)
const forked = semaphore.withPermits(1)(Effect.flatMap(Effect.fork(Effect.void), (fiber) => Fiber.join(fiber)))
const scoped = Effect.scoped(Effect.acquireRelease(semaphore.take(1), () => semaphore.release(1)))
const hold = lock.hold(prompt("s"), () => Effect.void)
const acquire = Effect.scoped(lock.acquire(prompt("s")))
const refused = Effect.ignore(lock.hold(prompt("held"), () => Effect.void))

const operations = async (): Promise<void> => {
  const n = 2_000
  const run =
    <E>(operation: Effect.Effect<unknown, E>) =>
    () =>
      Effect.runPromise(loop(n, operation))
  const variants = {
    bare: run(bare),
    forked: run(forked),
    scoped: run(scoped),
    hold: run(hold),
    acquire: run(acquire),
    refused: () => Effect.runPromise(lock.hold(prompt("held"), () => loop(n, refused))),
    nested: () =>
      Effect.runPromise(
        lock.hold(prompt("s"), (lease) => loop(n, lock.delegate(lease)(lock.hold(task, () => Effect.void))))
      )
  }
  await interleaved(5, variants)
  const taken = await interleaved(21, variants)
  const row = (what: string, name: keyof typeof variants, aim?: string) =>
    rows.push({
      what,
      cost: micros(median(taken[name])),
      ratio: spread(against(taken[name], taken.bare)),
      ...(aim === undefined ? undefined : { aim })
    })
  row("Semaphore.withPermits(1)", "bare")
  row("  around a forked fiber", "forked")
  row("  taken and given back by a scope", "scoped")
  row("hold", "hold", "at most 5x")
  row("acquire, scoped", "acquire")
  row("hold of a held session, rejected", "refused")
  row("task nested through a delegation", "nested")
}

// -------------------------------------------------------------------- waiters

/** So many fibers want what one holds, and get it one after the other; microseconds for each of them. */
const waiters = (n: number, wanted: Effect.Effect<void, unknown>, held: typeof heldByLock) => async () => {
  const again = Math.max(2, Math.round(2_000 / n))
  let total = 0
  for (let i = 0; i < again; i++) {
    total += await Effect.runPromise(
      held((start) =>
        Effect.gen(function* () {
          start()
          const fibers: Array<Fiber.Fiber<void, unknown>> = []
          for (let k = 0; k < n; k++) fibers.push(yield* Effect.fork(wanted))
          // All of them stand in line when this is run again.
          yield* Effect.yieldNow()
          return fibers
        })
      )
    )
  }
  return (total * 1_000) / (n * again)
}

/** Runs `body` while holding and awaits what it forked after that; milliseconds from `start` to the last one's end. */
const measured =
  (
    holding: (
      body: Effect.Effect<Array<Fiber.Fiber<void, unknown>>>
    ) => Effect.Effect<Array<Fiber.Fiber<void, unknown>>, unknown>
  ) =>
  (body: (start: () => void) => Effect.Effect<Array<Fiber.Fiber<void, unknown>>>): Effect.Effect<number, unknown> =>
    Effect.suspend(() => {
      let begun = 0
      const start = () => {
        begun = performance.now()
      }
      return Effect.flatMap(holding(body(start)), (fibers) =>
        Effect.map(
          Effect.forEach(fibers, (fiber) => fiber.await, { discard: true }),
          () => performance.now() - begun
        )
      )
    })

const heldByLock = measured((body) => Effect.scoped(Effect.zipRight(lock.acquire(prompt("line")), body)))
const heldBySemaphore = measured((body) => semaphore.withPermits(1)(body))
const inLine = lock.hold({ ...prompt("line"), onBusy: "wait" }, () => Effect.void)

const lines = async (): Promise<void> => {
  const sizes = [10, 100, 1_000] as const
  const variants: Record<string, () => Promise<number>> = {}
  for (const n of sizes) {
    variants[`lock ${n}`] = waiters(n, inLine, heldByLock)
    variants[`semaphore ${n}`] = waiters(n, bare, heldBySemaphore)
  }
  await interleaved(3, variants)
  const taken = await interleaved(15, variants)
  const smallest = taken[`lock ${sizes[0]}`]!
  for (const n of sizes) {
    const own = taken[`lock ${n}`]!
    rows.push({
      what: `a waiter, ${n.toLocaleString("en")} in line`,
      cost: micros(median(own)),
      ratio: spread(against(own, taken[`semaphore ${n}`]!)),
      aim: `flat: ${times(median(against(own, smallest)))} of one in ${sizes[0]}`
    })
  }
}

// -------------------------------------------------------------------- idle sessions

const sessionCount = 10_000

/** A text of 64 bytes of its own. */
const text = (what: string, i: number): string => `${what} ${i} `.padEnd(64, ".")

let replies = 0
const model = Layer.succeed(Model.Model, {
  defaultModel: "m",
  stream: (_request, emit) =>
    Effect.sync(() => {
      emit({ _tag: "TextDelta", text: text("reply", replies++) })
      return { reason: "stop" as const, usage: undefined }
    })
})

const heap = async (): Promise<number> => {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.()
    await sleep(10)
  }
  return process.memoryUsage().heapUsed
}

const idleSessions = async (): Promise<void> => {
  const runtime = ManagedRuntime.make(Layer.provide(Engine.layerMemory, model))
  const sessions = await runtime.runPromise(Sessions.Sessions)
  const table = (await runtime.runPromise(SessionLock.SessionLock)) as unknown as SessionLock.LockInsides
  const agent = Agent.make("agent")
  const handles: Array<Sessions.Session> = []
  const openAll = (name: string, n: number) =>
    runtime.runPromise(
      Effect.gen(function* () {
        for (let i = 0; i < n; i++) {
          const session = yield* sessions.open({ id: `${name}-${i}`, agent })
          yield* session.prompt(text("prompt", i))
          handles.push(session)
        }
      })
    )
  const removeAll = (name: string, n: number) =>
    runtime.runPromise(
      Effect.gen(function* () {
        for (let i = 0; i < n; i++) yield* sessions.remove(`${name}-${i}`)
      })
    )

  // What is made once, and compiled code, is there before anything is counted. The second warm-up runs the same code
  // as often as the measurement does, in a table of the same size.
  for (const name of ["warm", "warmer"]) {
    await openAll(name, sessionCount / 2)
    handles.length = 0
    await removeAll(name, sessionCount / 2)
  }
  const before = await heap()
  await openAll("idle", sessionCount)
  const open = await heap()
  handles.length = 0
  const dropped = await heap()
  await removeAll("idle", sessionCount)
  const removed = await heap()

  const bytes = (from: number, to: number) => `${Math.round((to - from) / sessionCount).toLocaleString("en")} bytes`
  const count = sessionCount.toLocaleString("en")
  rows.push(
    { what: `one of ${count} idle sessions, prompted once`, cost: bytes(before, open), aim: "at most 20,000 bytes" },
    { what: "  beyond the store: its handle and what that knows", cost: bytes(dropped, open) },
    { what: "  in the store, its handle dropped", cost: bytes(before, dropped) },
    { what: "  left when it is removed", cost: bytes(before, removed), aim: "nothing" },
    { what: "  sessions in the lock's table", cost: String(table.size()), aim: "0" }
  )
  await runtime.dispose()
}

// -------------------------------------------------------------------- the table

await operations()
await lines()
await idleSessions()

const columns = ["what", "cost", "ratio", "aim"] as const
const head: Row = { what: "", cost: "median", ratio: "against the semaphore", aim: "aim" }
const widths = columns.map((column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)))
for (const row of [head, ...rows]) {
  const cells = columns.map((column, i) =>
    column === "cost" ? (row[column] ?? "").padStart(widths[i]!) : (row[column] ?? "").padEnd(widths[i]!)
  )
  console.log(cells.join("  ").trimEnd())
}
console.log(`
Against other libraries, in a copy of the peers' benchmark:
  node test/bench/peers/setup.mjs <copy>
  cd <copy> && node check.mjs baton && node run.mjs --rounds 3 --peers floor,floor-effect,ai,pi,baton --groups core,w1full,fanout,cold --out <folder>`)
