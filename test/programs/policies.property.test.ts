/**
 * Random callers with random policies on one session, under random interleavings: whatever they do, no input is lost
 * and none is said twice.
 *
 * `BATON_LAW_RUNS` and `BATON_LAW_SEED` set how many programs are tried and from where, as for the laws of the lock.
 */
import { assert, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, FastCheck as fc, Fiber, Layer, Random, Schema } from "effect"
import { Agent, Conversation, type Entry, Errors, Model, type Operation, Script, Sessions, Tool } from "effect-baton"
import { Inbox } from "../../src/services/Inbox.js"
import { SessionLock } from "../../src/services/SessionLock.js"
import { forAll, runs, timeout } from "../laws/support/property.js"
import { runSeeded } from "../support/SeededScheduler.js"
import { openEngine } from "../support/stage.js"
import { problems } from "../support/validMessages.js"

const policies = ["reject", "wait", "interrupt", "steer", "followUp", "rollback"] as const

/** One call of the application. */
interface Caller {
  /** How long it holds back, and after how long its caller is interrupted, in yields. */
  readonly after: number
  readonly cut: number | undefined
  readonly handle: 0 | 1
  readonly onBusy: (typeof policies)[number] | "task"
  /** Whether it asks for a structured result. */
  readonly result: boolean
}

const tools = ["work", "broken", "steer", "follow", "late", "task", "finish"] as const

/** What the model does when it is asked, and how long it thinks, in yields. */
interface Reply {
  readonly thinks: number
  readonly does: "say" | "reject" | "flaky" | ReadonlyArray<(typeof tools)[number]>
  /** After how many yields something that the model's layer left behind steers the session. */
  readonly whispers: number | undefined
}

class Case {
  constructor(
    readonly seed: number,
    readonly callers: ReadonlyArray<Caller>,
    /** One for each request, then from the start again. */
    readonly replies: ReadonlyArray<Reply>
  ) {}

  [fc.toStringMethod](): string {
    const callers = this.callers.map(
      ({ after, cut, handle, onBusy, result }, i) =>
        `caller ${i}: after ${after} ${onBusy}${result ? " with a result" : ""} by handle ${handle}` +
        (cut === undefined ? "" : `, interrupted after ${cut}`)
    )
    const replies = this.replies.map(({ does, thinks, whispers }) => {
      const says = typeof does === "string" ? does : `[${does.join(" ")}]`
      const what = whispers === undefined ? says : `${says} whispering after ${whispers}`
      return thinks === 0 ? what : `${thinks} ${what}`
    })
    return `\n  scheduler seed ${this.seed}\n  ${callers.join("\n  ")}\n  model: ${replies.join(", ")}\n`
  }
}

const yields = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 40 }))

const callers: fc.Arbitrary<Caller> = fc.record({
  after: fc.integer({ min: 0, max: 60 }),
  cut: fc.option(fc.integer({ min: 0, max: 80 }), { nil: undefined, freq: 2 }),
  handle: fc.constantFrom(0 as const, 1 as const),
  onBusy: fc.constantFrom(...policies, ...policies, "task" as const),
  result: fc.oneof({ arbitrary: fc.constant(false), weight: 4 }, { arbitrary: fc.constant(true), weight: 1 })
})

const replies: fc.Arbitrary<Reply> = fc.record({
  thinks: yields,
  whispers: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined, freq: 8 }),
  does: fc.oneof(
    { arbitrary: fc.constant("say" as const), weight: 5 },
    { arbitrary: fc.constant("reject" as const), weight: 1 },
    { arbitrary: fc.constant("flaky" as const), weight: 1 },
    { arbitrary: fc.array(fc.constantFrom(...tools), { minLength: 1, maxLength: 3 }), weight: 4 }
  )
})

const cases: fc.Arbitrary<Case> = fc
  .tuple(
    fc.nat(0xffffff),
    fc.array(callers, { minLength: 1, maxLength: 6 }),
    fc.array(replies, { minLength: 1, maxLength: 6 })
  )
  .map(([seed, calls, model]) => new Case(seed, calls, model))

/** A text that was given to the session, by whom, and what its caller was told. */
interface Said {
  readonly text: string
  readonly onBusy: Caller["onBusy"]
  readonly inside: boolean
  exit: Exit.Exit<unknown, { readonly _tag: string }> | undefined
}

const check = ({ callers: calls, replies: model, seed }: Case): string | undefined => {
  const said: Array<Said> = []
  const requests: Array<ReadonlyArray<Conversation.Message>> = []
  /** Operations and inputs in the order in which they came to the session. */
  const asked: Array<{ readonly id: string; readonly onBusy: Operation.OnBusy | undefined }> = []
  const put: Array<{ readonly text: string; readonly when: string }> = []
  let draining = false

  const stream: Model.Model["Type"]["stream"] = (request, emit) =>
    Effect.suspend(() => {
      requests.push(request.messages)
      const { does, thinks, whispers } =
        draining || requests.length > most ? last : model[(requests.length - 1) % model.length]!
      const turn =
        typeof does === "string"
          ? { text: `reply ${requests.length}` }
          : Script.calls(
              ...does.map((name, i) =>
                name === "task"
                  ? Script.task("sub", { agent: "child" })
                  : Script.call(name, name === "finish" ? { ok: true } : {}, `c${requests.length}_${i}`)
              )
            )
      const says = Effect.suspend((): Effect.Effect<Model.ModelFinish, Errors.ModelError> => {
        for (const event of Script.eventsOf(turn, request)) emit(event)
        if (does === "reject") return new Errors.ModelRejected({ model: "m", reason: "no" })
        if (does === "flaky") return new Errors.ModelUnavailable({ model: "m", reason: "not now" })
        return Effect.succeed(Script.finishOf(turn, request))
      })
      const thinking = thinks === 0 ? says : Effect.zipRight(waits(thinks), says)
      if (whispers === undefined) return thinking
      return Effect.zipRight(Effect.forkDaemon(Effect.zipRight(waits(whispers), speak(0, "steer", true))), thinking)
    })
  const engine = openEngine(Layer.succeed(Model.Model, { defaultModel: "m", stream }), (parts) => {
    const lock = Context.get(parts, SessionLock)
    const inbox = Context.get(parts, Inbox)
    return Context.make(SessionLock, {
      ...lock,
      hold: (request, use, options) => {
        // The lock reads the depth in the very step in which it decides.
        const watched = {
          ...request,
          get baseDepth() {
            if (request.session === "s") asked.push({ id: request.operationId, onBusy: request.onBusy })
            return request.baseDepth
          }
        }
        return lock.hold(watched, use, options)
      }
    }).pipe(
      Context.add(Inbox, {
        ...inbox,
        put: (incarnation, input) => {
          const [part] = input.content
          put.push({ text: part?.type === "text" ? part.text : "", when: input.when })
          inbox.put(incarnation, input)
        }
      })
    )
  })

  let sessions: ReadonlyArray<Sessions.Session> = []
  let pending = 0
  let results = 0

  const speak = (
    handle: number,
    onBusy: Caller["onBusy"],
    inside: boolean,
    result = false
  ): Effect.Effect<unknown, { readonly _tag: string }> =>
    Effect.uninterruptibleMask((restore) => {
      const it: Said = { text: `#${said.length}`, onBusy, inside, exit: undefined }
      said.push(it)
      pending++
      const session = sessions[handle]!
      const limits = { turns: 4, retries: 1 }
      const asking: Effect.Effect<unknown, { readonly _tag: string }> =
        onBusy === "task"
          ? session.task(it.text, { agent: "child", onBusy: "wait", limits })
          : session.prompt(it.text, { onBusy, limits, ...(result ? { resultSchema: verdict } : undefined) })
      return Effect.onExit(restore(asking), (exit) =>
        Effect.sync(() => {
          it.exit = exit
          pending--
        })
      )
    })

  const tool = (name: string, run: () => Effect.Effect<unknown, unknown>) => Tool.make(name, { description: name, run })
  // Each result is another one, so that no model goes round in circles.
  const own = [
    tool("work", () => Effect.as(waits(5), ++results)),
    tool("broken", () => Effect.fail(`broken ${++results}`)),
    tool("steer", () => Effect.exit(speak(results % 2, "steer", true)).pipe(Effect.map(() => ++results))),
    tool("follow", () => Effect.exit(speak(results % 2, "followUp", true)).pipe(Effect.map(() => ++results))),
    tool("late", () =>
      Effect.as(Effect.forkDaemon(Effect.zipRight(waits((results * 7) % 30), speak(0, "steer", true))), ++results)
    )
  ]
  const child = Agent.make("child", { description: "c", tools: own, delegate: "off" })
  const agent = Agent.make("a", { tools: own, subagents: [child], delegate: "off" })

  const program = Effect.gen(function* () {
    const { open } = yield* Sessions.Sessions
    sessions = [yield* open({ id: "s", agent }), yield* open({ id: "s", agent })]
    const fibers = yield* Effect.forEach(calls, ({ after, cut, handle, onBusy, result }) =>
      Effect.fork(
        Effect.zipRight(
          waits(after),
          Effect.flatMap(Effect.fork(speak(handle, onBusy, false, result)), (fiber) =>
            cut === undefined ? Fiber.await(fiber) : Effect.zipRight(waits(cut), Fiber.interrupt(fiber))
          )
        )
      )
    )
    yield* Effect.forEach(fibers, Fiber.await)
    yield* Effect.repeat(Effect.sleep(10_000), { until: () => pending === 0 })
    const size = { sessions: engine.lock.size(), ...engine.inbox.size() }
    // What a prompt that failed had promised goes to the next one.
    draining = true
    const { text } = yield* sessions[0]!.prompt("drain")
    return { size, text, left: engine.inbox.size().waiting, entries: yield* sessions[1]!.history }
  })
  const { exit } = runSeeded(
    program.pipe(Effect.provide(engine.layer), Effect.withRandom(Random.make(seed))),
    seed % 2 === 0 ? { seed } : { seed, yieldProbability: 0.2, maxYields: 400 }
  )
  if (exit === undefined)
    return `hang: ${said
      .filter((it) => it.exit === undefined)
      .map(tell)
      .join(", ")}`
  if (Exit.isFailure(exit)) return `the last prompt did not end well: ${Cause.pretty(exit.cause)}`
  const { entries, left, size } = exit.value
  if (size.sessions !== 0) return "the session was not free"
  if (size.readers !== 0) return "the inbox had a reader left"
  if (left !== 0) return "something stayed in the inbox"
  return (
    shapes(entries) ??
    moves(entries, said) ??
    orders(entries, asked, put) ??
    said.map((it) => fate(it, entries, requests)).find((wrong) => wrong !== undefined) ??
    folds(entries, requests.at(-1)!)
  )
}

/** After so many requests the model only talks: what its tools leave behind would never end. */
const most = 14

const last: Reply = { thinks: 0, does: "say", whispers: undefined }
const waits = (n: number) => Effect.repeatN(Effect.yieldNow(), n)

const verdict = Schema.Struct({ ok: Schema.Boolean })

const tell = ({ exit, inside, onBusy, text }: Said) =>
  `${text} (${onBusy}${inside ? ", inside" : ""}: ${exit === undefined ? "no answer" : answerOf(exit)})`

const answerOf = (exit: Exit.Exit<unknown, { readonly _tag: string }>): string => {
  if (Exit.isSuccess(exit)) return (exit.value as { readonly _tag: string })._tag
  const failure = Cause.failureOption(exit.cause)
  if (failure._tag === "Some") return failure.value._tag
  return Cause.isInterruptedOnly(exit.cause) ? "interrupted" : `defect: ${Cause.pretty(exit.cause)}`
}

type Settled = Extract<Entry.Entry, { readonly _tag: "OperationSettled" }>

/** One operation after the other, each begun and ended once, and a provider takes the history wherever it is cut. */
const shapes = (entries: ReadonlyArray<Entry.Entry>): string | undefined => {
  let running: string | undefined
  for (const [i, entry] of entries.entries()) {
    if (entry.id !== i + 1) return `entry ${i + 1} has the id ${entry.id}`
    if (entry._tag !== "HeadMoved" && entry.parentId !== (entries[i - 1]?.id ?? null)) return `entry ${i + 1} strays`
    if (entry._tag === "HeadMoved") {
      if (running !== undefined) return `the head moved while ${running} ran`
    } else if (entry._tag === "OperationStarted") {
      if (running !== undefined) return `${entry.operationId} started while ${running} ran`
      running = entry.operationId
    } else if (entry.operationId !== running) return `entry ${i + 1} is of ${entry.operationId} and not of ${running}`
    if (entry._tag === "OperationSettled") running = undefined
    const wrong = problems(Conversation.fold(entries.slice(0, i + 1)))
    if (wrong.length > 0) return `cut after entry ${i + 1}: ${wrong.join("; ")}`
  }
  return running === undefined ? undefined : `${running} has no end`
}

/** The head moves to before an operation exactly where a rollback interrupted it. */
const moves = (entries: ReadonlyArray<Entry.Entry>, said: ReadonlyArray<Said>): string | undefined => {
  const starts = entries.filter((entry) => entry._tag === "OperationStarted")
  for (const [i, start] of starts.entries()) {
    const before = entries[start.id - 2]
    const moved = before?._tag === "HeadMoved" ? before : undefined
    const cut = starts[i - 1]
    const end = entries.find(
      (entry): entry is Settled => entry._tag === "OperationSettled" && entry.operationId === cut?.operationId
    )
    const mine = typeof end?.by === "object" && end.by.operationId === start.operationId
    if (moved !== undefined && (!mine || moved.parentId !== cut!.parentId)) return `${start.id} moved the head wrongly`
    const input = entries[start.id]
    const text = input?._tag === "User" ? textsOf(input)[0] : undefined
    const rollback = said.some((it) => it.onBusy === "rollback" && it.text === text)
    if (rollback !== (moved !== undefined) && mine) return `${start.id} moved the head wrongly`
  }
  return undefined
}

/** Nobody overtakes: in the line, among those who go ahead of it, and in the inbox. */
const orders = (
  entries: ReadonlyArray<Entry.Entry>,
  asked: ReadonlyArray<{ readonly id: string; readonly onBusy: Operation.OnBusy | undefined }>,
  put: ReadonlyArray<{ readonly text: string; readonly when: string }>
): string | undefined => {
  const started = entries.flatMap((entry) => (entry._tag === "OperationStarted" ? [entry.operationId] : []))
  for (const policy of ["wait", "interrupt"]) {
    const came = asked.filter(({ onBusy }) => onBusy === policy).map(({ id }) => id)
    const ran = started.filter((id) => came.includes(id))
    if (!ascends(ran.map((id) => came.indexOf(id)))) return `those who ${policy} ran out of order`
  }
  const joined = entries.flatMap((entry, i) =>
    entry._tag === "User" && entries[i - 1]?._tag !== "OperationStarted" ? textsOf(entry) : []
  )
  for (const when of ["steer", "followUp"]) {
    const came = put.filter((it) => it.when === when).map(({ text }) => text)
    if (!ascends(joined.filter((text) => came.includes(text)).map((text) => came.indexOf(text)))) {
      return `${when} was delivered out of order`
    }
  }
  return undefined
}

const ascends = (numbers: ReadonlyArray<number>) => numbers.every((n, i) => i === 0 || numbers[i - 1]! < n)

const textsOf = (entry: Extract<Entry.Entry, { readonly _tag: "User" }>) =>
  entry.content.flatMap((part) => (part.type === "text" && part.note === undefined ? [part.text] : []))

/** What became of a text is what its caller was told. */
const fate = (
  it: Said,
  entries: ReadonlyArray<Entry.Entry>,
  requests: ReadonlyArray<ReadonlyArray<Conversation.Message>>
): string | undefined => {
  const wrong = (why: string) => `${tell(it)}: ${why}`
  const answer = answerOf(it.exit!)
  const allowed =
    it.onBusy === "task"
      ? /^(Reply|undefined|ModelRejected|ModelUnavailable|LimitReached|NoProgress|interrupted)$/
      : it.inside
        ? /^(Reply|Delivered|SessionDeadlock|ModelRejected|ModelUnavailable|LimitReached|NoProgress|interrupted)$/
        : it.onBusy === "reject"
          ? /^(Reply|SessionBusy|ModelRejected|ModelUnavailable|LimitReached|NoProgress|interrupted)$/
          : it.onBusy === "steer" || it.onBusy === "followUp"
            ? /^(Reply|Delivered|ModelRejected|ModelUnavailable|LimitReached|NoProgress|ResultUnavailable|interrupted)$/
            : /^(Reply|ModelRejected|ModelUnavailable|LimitReached|NoProgress|ResultUnavailable|interrupted)$/
  if (!allowed.test(answer)) return wrong("was not to be answered so")
  if (it.onBusy === "task") return undefined
  const found = entries.filter((entry) => entry._tag === "User" && textsOf(entry).includes(it.text))
  if (found.length > 1) return wrong("it is in the history twice")
  const [input] = found
  if (input === undefined) {
    if (!/^(SessionBusy|SessionDeadlock|interrupted)$/.test(answer)) return wrong("it is not in the history")
    const seen = requests.some((messages) =>
      messages.some(
        ({ content, role }: { readonly role: string; readonly content?: ReadonlyArray<object> }) =>
          role === "user" && content?.some((part) => "text" in part && part.text === it.text)
      )
    )
    return seen ? wrong("the model saw it") : undefined
  }
  const rest = entries.slice(input.id).filter((entry) => entry.operationId === input.operationId)
  const end = rest.find((entry) => entry._tag === "OperationSettled")!
  const answered = rest.some((entry) => entry._tag === "Assistant" && entry.finish !== "interrupted")
  if (end.outcome === "completed" && !answered) return wrong("nothing answers it")
  switch (answer) {
    case "SessionBusy":
    case "SessionDeadlock":
      return wrong("it is in the history")
    case "Reply":
      return end.outcome === "completed" ? undefined : wrong(`its operation is ${end.outcome}`)
    case "interrupted":
      return undefined
    case "Delivered": {
      const { operationId } = (it.exit as Exit.Success<{ readonly operationId: string }, never>).value
      if (operationId === input.operationId) return undefined
      const named = entries.find(
        (entry): entry is Settled => entry._tag === "OperationSettled" && entry.operationId === operationId
      )
      if (!it.inside || named === undefined) return wrong("it is in another operation")
      if (named.id > input.id) return wrong("it is in an earlier operation")
      return named.outcome === "completed" ? wrong("its operation completed without it") : undefined
    }
    default:
      return end.outcome === "failed" ? undefined : wrong(`its operation is ${end.outcome}`)
  }
}

/** What the last prompt showed is the fold of the history up to its input. */
const folds = (entries: ReadonlyArray<Entry.Entry>, shown: ReadonlyArray<Conversation.Message>): string | undefined => {
  const end = entries.findLastIndex((entry) => entry._tag === "Assistant")
  try {
    assert.deepStrictEqual(Conversation.fold(entries.slice(0, end)), shown)
    return undefined
  } catch {
    return "the last request is not the fold of the history"
  }
}

it.effect("no input is lost or said twice", () => forAll(cases, Math.ceil(runs / 5), check), timeout)
