/**
 * Conservation of usage: whatever is retried, delegated, cut or left untold, what the models told is counted once.
 */
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Exit, FastCheck as fc, Fiber, FiberId, Layer, Random } from "effect"
import { Agent, type Entry, Errors, Model, Prices, Script, Sessions, SessionStore, Tool, Usage } from "effect-baton"
import { forAll, runs, timeout } from "../laws/support/property.js"
import { runSeeded } from "../support/SeededScheduler.js"
import { openEngine } from "../support/stage.js"

const names = ["work", "broken", "task"] as const

/** What the model does when it is asked, what it says of its usage and when, and how long it takes. */
interface Reply {
  readonly does: "say" | "empty" | "reject" | "flaky" | ReadonlyArray<(typeof names)[number]>
  readonly tells: "before" | "end" | "both" | "nothing"
  readonly usage: Usage.Usage
  /** In yields, and then in milliseconds. */
  readonly thinks: number
  readonly sleeps: number
}

class Case {
  constructor(
    readonly seed: number,
    readonly kind: "prompt" | "task",
    /** The step at which the caller is interrupted. */
    readonly cut: number | undefined,
    readonly wallTime: number | undefined,
    /** One for each request, then from the start again. */
    readonly replies: ReadonlyArray<Reply>
  ) {}

  [fc.toStringMethod](): string {
    const replies = this.replies.map(({ does, sleeps, tells, thinks, usage: { input, output } }) => {
      const what = typeof does === "string" ? does : `[${does.join(" ")}]`
      return `${what} (${input}+${output} told ${tells}; ${thinks} yields, ${sleeps} ms)`
    })
    const cut = this.cut === undefined ? "" : `, interrupted at step ${this.cut}`
    const wallTime = this.wallTime === undefined ? "" : `, within ${this.wallTime} ms`
    return `\n  scheduler seed ${this.seed}, ${this.kind}${cut}${wallTime}\n  ${replies.join("\n  ")}\n`
  }
}

/** The input is more than is ever estimated here: an estimate is not taken for what was told. */
const usages: fc.Arbitrary<Usage.Usage> = fc
  .record({ input: fc.integer({ min: 10_000, max: 10_099 }), output: fc.integer({ min: 1, max: 99 }), of: fc.nat(3) })
  .map(({ input, of, output }) => ({
    input,
    output,
    cacheRead: Math.floor((input * of) / 6),
    cacheWrite: Math.floor((input * of) / 12),
    reasoning: Math.floor((output * of) / 4)
  }))

const replies: fc.Arbitrary<Reply> = fc.record({
  does: fc.oneof(
    { arbitrary: fc.constantFrom("say" as const, "say" as const, "empty" as const), weight: 4 },
    { arbitrary: fc.constantFrom("flaky" as const, "flaky" as const, "reject" as const), weight: 2 },
    { arbitrary: fc.array(fc.constantFrom(...names, "task" as const), { minLength: 1, maxLength: 3 }), weight: 5 }
  ),
  tells: fc.constantFrom("before" as const, "end" as const, "both" as const, "nothing" as const),
  usage: usages,
  thinks: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 30 })),
  sleeps: fc.oneof({ arbitrary: fc.constant(0), weight: 3 }, { arbitrary: fc.integer({ min: 1, max: 60 }), weight: 1 })
})

const cases: fc.Arbitrary<Case> = fc
  .tuple(
    fc.nat(0xffffff),
    fc.constantFrom("prompt" as const, "prompt" as const, "task" as const),
    fc.option(fc.nat(2_500), { nil: undefined, freq: 3 }),
    fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined, freq: 1 }),
    fc.array(replies, { minLength: 1, maxLength: 7 })
  )
  .map(([seed, kind, cut, wallTime, model]) => new Case(seed, kind, cut, wallTime, model))

/** After so many requests the model only talks. */
const most = 16

const prices = { m: { input: 3, output: 15, cacheRead: 1, cacheWrite: 4 } }

const costOf = ({ cacheRead, cacheWrite, input, output }: Usage.Usage): number =>
  ((input - cacheRead - cacheWrite) * 3 + cacheRead * 1 + cacheWrite * 4 + output * 15) / 1_000_000

/** An attempt, as its model tells of it. */
interface Attempt {
  /** Which session asked, by the first words that were said in it. */
  readonly of: string
  before: Usage.Usage | undefined
  end: Usage.Usage | undefined
}

interface How {
  /** No fiber yields between a model's last word and its end, so that all that was told was heard. */
  readonly strict: boolean
  /** Called at each step that the caller takes, with its number. */
  readonly onStep?: (step: number) => void
}

const check = (
  { cut, kind, replies: model, seed, wallTime }: Case,
  { onStep, strict }: How = { strict: false }
): string | undefined => {
  const attempts: Array<Attempt> = []
  let tasks = 0
  const stream: Model.Model["Type"]["stream"] = (request, emit) =>
    Effect.suspend(() => {
      const [first] = request.messages
      const part = first?.role === "user" ? first.content[0] : undefined
      const attempt: Attempt = { of: part?.type === "text" ? part.text : "", before: undefined, end: undefined }
      attempts.push(attempt)
      const chosen = model[(attempts.length - 1) % model.length]!
      const { does, sleeps, tells, thinks, usage } = attempts.length > most ? { ...chosen, does: "say" } : chosen
      const turn =
        typeof does === "string"
          ? { text: does === "empty" ? "" : `reply ${attempts.length}` }
          : Script.calls(
              ...(does as ReadonlyArray<string>).map((name, i) =>
                name === "task"
                  ? Script.task(`task ${++tasks}`, { agent: "child" })
                  : Script.call(name, {}, `c${attempts.length}_${i}`)
              )
            )
      const pause = Effect.zipRight(
        Effect.repeatN(Effect.yieldNow(), thinks),
        sleeps > 0 ? Effect.sleep(sleeps) : Effect.void
      )
      const half = { ...usage, output: Math.ceil(usage.output / 2), reasoning: 0 }
      const says = Effect.suspend((): Effect.Effect<Model.ModelFinish, Errors.ModelError> => {
        for (const event of Script.eventsOf(turn, request)) emit(event)
        if (tells === "before" || tells === "both") {
          attempt.before = half
          emit({ _tag: "UsageSoFar", usage: half })
        }
        return Effect.zipRight(
          pause,
          Effect.suspend((): Effect.Effect<Model.ModelFinish, Errors.ModelError> => {
            if (does === "reject") return new Errors.ModelRejected({ model: "m", reason: "no" })
            if (does === "flaky") return new Errors.ModelUnavailable({ model: "m", reason: "not now" })
            // An empty reply that is asked again leaves no entry to read an estimate from.
            const told = tells === "end" || tells === "both" || does === "empty"
            if (told) attempt.end = usage
            return Effect.succeed({ ...Script.finishOf(turn, request), usage: told ? usage : undefined })
          })
        )
      })
      return Effect.zipRight(pause, says)
    })
  const { layer } = openEngine(Layer.succeed(Model.Model, { defaultModel: "m", stream }))

  let results = 0
  const work = Tool.make("work", { description: "w", run: () => Effect.as(Effect.yieldNow(), ++results) })
  const broken = Tool.make("broken", { description: "b", run: () => Effect.fail(`broken ${++results}`) })
  const low = Agent.make("child", { description: "c", tools: [work, broken], delegate: "off" })
  const mid = Agent.make("child", { description: "c", tools: [work, broken], subagents: [low], delegate: "off" })
  const agent = Agent.make("a", { tools: [work, broken], subagents: [mid], delegate: "off" })
  const limits = { turns: 5, retries: 2, retryDelay: 10, ...(wallTime === undefined ? undefined : { wallTime }) }

  let caller: Fiber.RuntimeFiber<{ readonly usage: Usage.UsageReport }, unknown> | undefined
  let over = false
  const program = Effect.gen(function* () {
    const session = yield* (yield* Sessions.Sessions).open({ id: "s", agent })
    const asking: Effect.Effect<{ readonly usage: Usage.UsageReport }, unknown> =
      kind === "prompt" ? session.prompt("root", { limits }) : session.task("root", { agent: "child", limits })
    caller = yield* Effect.fork(asking)
    const exit = yield* Fiber.await(caller)
    over = true
    return { exit, stored: yield* SessionStore.Memory }
  }).pipe(Effect.provide(layer), Effect.provideService(Prices.Prices, prices), Effect.withRandom(Random.make(seed)))
  const { exit } = runSeeded(program, {
    seed,
    ...(strict ? { yieldProbability: 0 } : undefined),
    onStep: (step) => {
      if (caller === undefined || over) return false
      onStep?.(step)
      if (step !== cut) return false
      caller.unsafeInterruptAsFork(FiberId.none)
      // Whoever runs may hear of it before its next op.
      return !strict
    }
  })
  if (exit === undefined) return "hang"
  if (Exit.isFailure(exit)) return Cause.pretty(exit.cause)
  const { stored } = exit.value
  for (const { entries, row } of stored.values()) {
    const own = entries.find((entry) => entry._tag === "User")
    const part = own?.content[0]
    const of = part?.type === "text" ? part.text : "nobody"
    const children = [...stored.values()].filter((it) => it.row.parent === row.id)
    const wrong = conserved(
      entries,
      attempts.filter((it) => it.of === of),
      children.map((it) => it.entries),
      strict
    )
    if (wrong !== undefined) return `${row.id === "s" ? "the root" : of}: ${wrong}`
  }
  const root = stored.get("s")!.entries.find((entry) => entry._tag === "OperationSettled")
  const answer = exit.value.exit
  if (Exit.isSuccess(answer)) {
    const mine = kind === "prompt" ? root?.usage : [...stored.values()][1]!.entries.find(isSettled)?.usage
    if (JSON.stringify(mine) !== JSON.stringify(answer.value.usage)) return "the reply tells another usage than the end"
  }
  return undefined
}

type Settled = Extract<Entry.Entry, { readonly _tag: "OperationSettled" }>

const isSettled = (entry: Entry.Entry): entry is Settled => entry._tag === "OperationSettled"

const sum = (usages: ReadonlyArray<Usage.Usage>) => usages.reduce(Usage.add, Usage.zero)

const tokens = ["input", "output", "cacheRead", "cacheWrite", "reasoning"] as const

/** Whether two usages are the same: tokens to the last one, money as far as its sums are exact. */
const same = (a: Usage.Usage, b: Usage.Usage): boolean =>
  tokens.every((key) => a[key] === b[key]) && Math.abs((a.cost ?? 0) - (b.cost ?? 0)) < 1e-12

const show = (usage: Usage.Usage) => JSON.stringify(usage)

const conserved = (
  entries: ReadonlyArray<Entry.Entry>,
  attempts: ReadonlyArray<Attempt>,
  children: ReadonlyArray<ReadonlyArray<Entry.Entry>>,
  strict: boolean
): string | undefined => {
  const ends = entries.filter(isSettled)
  // Interrupted before it began.
  if (entries.length === 0 && attempts.length === 0) return undefined
  const [end] = ends
  if (end === undefined || ends.length > 1) return `it has ${ends.length} ends`
  if (end.error?.tag === "Defect") return end.error.message
  const { compactions, retries, tasks, total, turns } = end.usage
  const parts = sum([turns, retries, compactions, tasks])
  if (!same(total, parts)) return `the total ${show(total)} is not the sum of its parts ${show(parts)}`
  const replies = entries.flatMap((entry) => (entry._tag === "Assistant" ? [entry] : []))
  const stored = sum(replies.map((entry) => entry.usage))
  if (!same(turns, stored)) return `turns ${show(turns)} are not its replies ${show(stored)}`
  const settled = entries.flatMap((entry) => (entry._tag === "TaskSettled" ? [entry.usage] : []))
  const below = children.flatMap((it) => it.filter(isSettled).map(({ usage }) => usage.total))
  if (!same(tasks, sum(settled))) return `tasks ${show(tasks)} are not those that it recorded ${show(sum(settled))}`
  if (!same(tasks, sum(below))) return `tasks ${show(tasks)} are not its children's ${show(sum(below))}`
  const counted = sum([turns, retries])
  // What nobody told is estimated, and stands in the entry.
  const untold = replies.flatMap(({ usage, usageReported }) =>
    usageReported || attempts.some((it) => isOf(it, usage)) ? [] : [usage]
  )
  const told = attempts.flatMap(({ before, end: last }) => last ?? before ?? [])
  const expected = sum([...told.map((usage) => ({ ...usage, cost: costOf(usage) })), ...untold])
  if (same(counted, expected)) return undefined
  // The end may have come between the model's last word and its being heard.
  const late = attempts.at(-1)
  if (!strict && end.outcome !== "completed" && late?.end !== undefined) {
    const earlier = [...told.slice(0, -1), ...(late.before === undefined ? [] : [late.before])]
    const without = sum([...earlier.map((usage) => ({ ...usage, cost: costOf(usage) })), ...untold])
    if (same(counted, without)) return undefined
  }
  // Or between that and the entry of a reply that was estimated.
  const isLate = end.outcome !== "completed" && late?.end === undefined && late?.before === undefined
  if (isLate && tokens.every((key) => counted[key] >= expected[key])) return undefined
  return `turns and retries ${show(counted)} are not what its models told, ${show(expected)}`
}

/** Whether a reply's usage is what its model told. */
const isOf = ({ before, end }: Attempt, usage: Usage.Usage): boolean =>
  [before, end].some((told) => told !== undefined && tokens.every((key) => told[key] === usage[key]))

it.effect("what a model has told is counted at whatever step its caller is interrupted", () =>
  Effect.sync(() => {
    const usage = { input: 5, output: 7, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
    const reply = (does: Reply["does"]): Reply => ({ does, tells: "end", usage, thinks: 2, sleeps: 0 })
    for (const seed of [1, 2, 4]) {
      const strict = seed % 2 === 0
      const sample = (cut: number | undefined) => new Case(seed, "prompt", cut, undefined, [reply("say")])
      const steps: Array<number> = []
      check(sample(undefined), { strict, onStep: (step) => steps.push(step) })
      for (const cut of steps) {
        assert.isUndefined(check(sample(cut), { strict }), `seed ${seed}, interrupted at step ${cut}`)
      }
    }
  })
)

it.effect(
  "what the models told is counted once",
  () => forAll(cases, Math.ceil(runs / 10), (sample) => check(sample)),
  timeout
)
