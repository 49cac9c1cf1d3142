/**
 * The cases that engines for agents get wrong, run on Baton as an application would: by its public API, in real time.
 */
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import { Agent, Engine, type Entry, Errors, Limits, Model, Script, Sessions, SessionStore, Tool } from "effect-baton"

/** A case: what happens in it, in a sentence, or a failure that says what should have happened. */
export interface HardCase {
  readonly name: string
  readonly run: Effect.Effect<string, unknown>
}

/** What came of a case. */
export interface Held {
  readonly name: string
  readonly what: string
  readonly held: boolean
  /** In milliseconds. */
  readonly took: number
}

/** Longer than any case takes on a busy machine, in milliseconds: what is not over by then hangs. */
const hung = 20_000

/** Runs a case. Never fails and never hangs. */
export const hold = ({ name, run }: HardCase): Effect.Effect<Held> =>
  Effect.gen(function* () {
    const begun = performance.now()
    const exit = yield* Effect.exit(
      Effect.timeoutFail(Effect.disconnect(run), { duration: hung, onTimeout: () => new NotHeld("it hangs") })
    )
    const took = performance.now() - begun
    if (Exit.isSuccess(exit)) return { name, what: exit.value, held: true, took }
    return { name, what: String(Cause.squash(exit.cause)), held: false, took }
  })

class NotHeld extends Error {
  override readonly name = "not held"
}

const expect = (holds: boolean, what: string): Effect.Effect<void, NotHeld> =>
  holds ? Effect.void : Effect.fail(new NotHeld(what))

/** Runs in an engine of its own, over a script. */
const on = <A, E>(script: Script.Script, use: Effect.Effect<A, E, Sessions.Sessions>): Effect.Effect<A, E> =>
  use.pipe(Effect.provide(Engine.layerMemory), Effect.provide(Model.layerScripted(script)))

const open = (agent: Agent.Agent, id = "default") =>
  Effect.flatMap(Sessions.Sessions, (sessions) => sessions.open({ id, agent }))

const results = (view: Script.View): string => view.results.map(({ text }) => text).join(", ")

const worker = Agent.make("worker", { delegate: "off" })

// -------------------------------------------------------------------- re-entry

const reentry: HardCase = {
  name: "re-entry: the task tool under its own prompt",
  run: on(
    [
      Script.on("delegate", Script.calls(Script.task("add up", { agent: "worker" })), results),
      Script.on("add up", "42")
    ],
    Effect.gen(function* () {
      const session = yield* open(Agent.make("lead", { subagents: [worker], delegate: "off" }))
      const { text } = yield* session.prompt("delegate")
      yield* expect(text === "42", `the parent answered ${text}`)
      const begun = (yield* session.history).filter((entry) => entry._tag === "OperationStarted")
      yield* expect(begun.length === 1, `${begun.length} operations on the parent`)
      return "the child runs, the parent answers from it, as one operation"
    })
  )
}

const deep: HardCase = {
  name: "re-entry: three levels",
  run: on(
    [
      Script.on("level 1", Script.calls(Script.task("level 2", { agent: "lead" })), (view) => `1(${results(view)})`),
      Script.on("level 2", Script.calls(Script.task("level 3", { agent: "worker" })), (view) => `2(${results(view)})`),
      Script.on("level 3", "3")
    ],
    Effect.gen(function* () {
      const lead = Agent.make("lead", { subagents: [worker], delegate: "off" })
      const session = yield* open(Agent.make("chief", { subagents: [lead], delegate: "off" }))
      const { text } = yield* session.prompt("level 1")
      yield* expect(text === "1(2(3))", `the answer is ${text}`)
      return "a task delegates in its turn, every answer comes back"
    })
  )
}

const parallel: HardCase = {
  name: "re-entry: eight tasks at once",
  run: Effect.gen(function* () {
    const all = yield* Deferred.make<void>()
    let begun = 0
    const meet = Effect.suspend(() =>
      ++begun === 8 ? Effect.asVoid(Deferred.succeed(all, undefined)) : Deferred.await(all)
    )
    const parts = Array.from({ length: 8 }, (_, i) => `part ${i}`)
    const script = [
      Script.on("fan out", Script.calls(...parts.map((part) => Script.task(part, { agent: "worker" }))), results),
      Script.on(/^part/, (view) => ({ before: meet, text: view.prompt }))
    ]
    return yield* on(
      script,
      Effect.gen(function* () {
        const session = yield* open(Agent.make("lead", { subagents: [worker], delegate: "off" }))
        const { text } = yield* session.prompt("fan out")
        yield* expect(text === parts.join(", "), `the answers are ${text}`)
        return "they run at the same time, results in the order of the calls"
      })
    )
  })
}

// -------------------------------------------------------------------- hung tools

/** When a hung call is told to end, and how long it may take then, in milliseconds. */
const deadline = 200
const grace = 1_000
/** What a busy machine may add. */
const slack = 3_000

const ignores = (own?: number) => [
  Tool.make("deaf", {
    description: "Cannot be interrupted",
    deadline: own,
    run: () => Effect.uninterruptible(Effect.never)
  }),
  Tool.make("promise", { description: "Never settles", deadline: own, run: () => new Promise(() => {}) })
]

const hungScript = [
  Script.on("go", Script.calls(Script.call("deaf"), Script.call("promise")), (view) =>
    view.results.every((it) => it.isError && it.text.includes("deadline")) ? "went on" : "wrong"
  ),
  Script.on("next", "still here")
]

/** Measures what returns, and says when it was too late. */
const onTime = <A, E, R>(effect: Effect.Effect<A, E, R>, due: number): Effect.Effect<Exit.Exit<A, E>, NotHeld, R> =>
  Effect.gen(function* () {
    const begun = performance.now()
    const exit = yield* Effect.exit(effect)
    const took = performance.now() - begun
    // A timer may be a little early.
    yield* expect(took > deadline - 20, `it returned after ${took.toFixed(0)} ms, before its time`)
    yield* expect(took < due + slack, `it returned after ${took.toFixed(0)} ms, ${due} are due`)
    return exit
  })

const tagOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "success"
  if (Cause.isInterruptedOnly(exit.cause)) return "interrupted"
  const error = Cause.squash(exit.cause)
  return typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : String(error)
}

const usable = (session: Sessions.Session) =>
  Effect.flatMap(session.prompt("next"), ({ text }) => expect(text === "still here", `the next prompt said ${text}`))

const hungTool = (
  what: string,
  due: number,
  tag: string,
  agent: Agent.Agent,
  run: (session: Sessions.Session) => Effect.Effect<unknown, unknown>
): HardCase => ({
  name: `hung tool: ${what}`,
  run: on(
    hungScript,
    Effect.gen(function* () {
      const session = yield* open(agent)
      const exit = yield* onTime(run(session), due)
      yield* expect(tagOf(exit) === tag, `it ended with ${tagOf(exit)}`)
      yield* usable(session)
      const how = tag === "success" ? "the model is told and goes on" : tag
      return `${how} after ${due} ms at most, the session is free`
    })
  )
})

const hungTools = (own?: number, limits: Agent.Any["limits"] = {}) =>
  Agent.make("a", { tools: ignores(own), delegate: "off", limits: { toolGrace: grace, ...limits } })

const shutdown: HardCase = {
  name: "hung tool: the engine ends",
  run: Effect.gen(function* () {
    const scope = yield* Scope.make()
    const store = yield* Layer.build(SessionStore.layerMemory)
    const next = Layer.provide(Engine.layer, Layer.merge(Layer.succeedContext(store), Model.layerScripted(hungScript)))
    const engine = yield* Layer.buildWithScope(next, scope)
    const session = yield* Effect.provide(open(hungTools()), engine)
    const running = yield* Effect.fork(session.prompt("go"))
    yield* onTime(Effect.zipRight(Effect.sleep(deadline), Scope.close(scope, Exit.void)), deadline + grace)
    const tag = tagOf(yield* Fiber.await(running))
    yield* expect(tag === "interrupted", `the prompt ended with ${tag}`)
    const ends = (entries: ReadonlyArray<Entry.Entry>, tag: Entry.Entry["_tag"]) =>
      entries.filter((entry) => entry._tag === tag).length
    const left = yield* session.history
    yield* expect(ends(left, "ToolSettled") === 2 && ends(left, "OperationSettled") === 0, "the calls have ends")
    const again = yield* Effect.provide(open(hungTools()), yield* Layer.build(next))
    yield* again.resumed?.ended ?? Effect.void
    yield* expect(ends(yield* again.history, "OperationSettled") === 1, "the next engine goes on with it, to its end")
    yield* usable(again)
    return `interrupted after ${deadline + grace} ms at most, and gone on with by the next engine`
  }).pipe(Effect.scoped)
}

// -------------------------------------------------------------------- models that go wrong

const endless: HardCase = {
  name: "the endless same call",
  run: Effect.gen(function* () {
    let ran = 0
    let told = 0
    const look = Tool.make("look", { description: "", run: () => Effect.sync(() => (ran++, "nothing new")) })
    const script = [
      Script.on("go", (view) => {
        const words = JSON.stringify(view.request.messages)
        told = words.split("You have made the same calls").length - 1
        return Script.calls(Script.call("look"))
      })
    ]
    return yield* on(
      script,
      Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [look], delegate: "off" }))
        const tag = tagOf(yield* Effect.exit(session.prompt("go")))
        yield* expect(tag === "NoProgress", `it ended with ${tag}`)
        yield* expect(told === 1, `the model was told ${told} times`)
        yield* expect(ran <= 2 * Limits.defaults.repeats, `the tool ran ${ran} times`)
        return `the model is told once, then NoProgress: ${ran} calls`
      })
    )
  })
}

const abort: HardCase = {
  name: "abort of a parent with a subagent at work",
  run: Effect.gen(function* () {
    const working = yield* Deferred.make<void>()
    let ticks = 0
    let ended = false
    const tick = Effect.zipRight(
      Effect.sync(() => ticks++),
      Effect.sleep(5)
    )
    const work = Tool.make("work", {
      description: "",
      run: () =>
        Effect.zipRight(Deferred.succeed(working, undefined), Effect.forever(tick)).pipe(
          Effect.onInterrupt(() => Effect.sync(() => (ended = true)))
        )
    })
    const child = Agent.make("child", { tools: [work], delegate: "off" })
    const script = [
      Script.on("go", Script.calls(Script.task("dig", { agent: "child" })), "never said"),
      Script.on("dig", Script.calls(Script.call("work")), "never said"),
      Script.on("next", "still here")
    ]
    return yield* on(
      script,
      Effect.gen(function* () {
        const sessions = yield* Sessions.Sessions
        const session = yield* open(Agent.make("a", { subagents: [child], delegate: "off" }))
        const running = yield* Effect.fork(session.prompt("go"))
        yield* Deferred.await(working)
        yield* Fiber.interrupt(running)
        const before = ticks
        yield* expect(ended, "the child's tool was not interrupted")
        yield* Effect.sleep(100)
        yield* expect(ticks === before, "the child's tool runs on")
        const [row] = yield* sessions.list("default")
        const history = yield* Effect.flatMap(sessions.get({ id: row!.id, agent: child }), (it) => it.history)
        const end = history.at(-1)
        yield* expect(end?._tag === "OperationSettled" && end.outcome === "interrupted", "the child has no end")
        yield* usable(session)
        return "the child's tool is interrupted with it, nothing runs on"
      })
    )
  })
}

const paid: HardCase = {
  name: "the model fails after a paid tool",
  run: Effect.gen(function* () {
    let paid = 0
    const pay = Tool.make("pay", { description: "", run: () => Effect.sync(() => `receipt ${++paid}`) })
    const fail = new Errors.ModelRejected({ model: "scripted", reason: "no", status: 400 })
    const script = [
      Script.on("pay", Script.calls(Script.call("pay")), { fail }),
      Script.on("next", (view) => (JSON.stringify(view.request.messages).includes("receipt 1") ? "seen" : "lost"))
    ]
    return yield* on(
      script,
      Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [pay], delegate: "off" }))
        const tag = tagOf(yield* Effect.exit(session.prompt("pay")))
        yield* expect(tag === "ModelRejected", `it ended with ${tag}`)
        const kept = (yield* session.history).some((it) => it._tag === "ToolSettled" && it.result === "receipt 1")
        yield* expect(kept, "the result is not in the history")
        const { text } = yield* session.prompt("next")
        yield* expect(text === "seen", "the next prompt does not see the result")
        yield* expect(paid === 1, `it was paid ${paid} times`)
        return "its result stays, the next prompt sees it, it is not run again"
      })
    )
  })
}

const badArguments: HardCase = {
  name: "bad arguments",
  run: Effect.gen(function* () {
    const ran: Array<number> = []
    const double = Tool.make("double", {
      description: "",
      parameters: Schema.Struct({ n: Schema.Number }),
      run: ({ n }) => Effect.sync(() => (ran.push(n), n * 2))
    })
    const script = [
      Script.on(
        "go",
        Script.calls(
          Script.call("double", { n: "two" }),
          Script.call("double", "n = 2"),
          Script.call("duoble", { n: 2 })
        ),
        (view) =>
          view.results.every(({ isError }) => isError) &&
          view.results[0]!.text.includes("n: Expected number") &&
          view.results[2]!.text.includes("The tools are: double")
            ? Script.calls(Script.call("double", { n: 2 }))
            : "was not told",
        results
      )
    ]
    return yield* on(
      script,
      Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [double], delegate: "off" }))
        const { text } = yield* session.prompt("go")
        yield* expect(text === "4" && ran.join() === "2", `the answer is ${text}, it ran with ${ran.join()}`)
        return "the model reads what is wrong with each call and corrects itself"
      })
    )
  })
}

// -------------------------------------------------------------------- two calls at once

const many = Array.from({ length: 100 }, (_, i) => `prompt ${i}.`)

const refused: HardCase = {
  name: "a hundred prompts at once",
  run: Effect.gen(function* () {
    const script = [Script.always((view) => ({ before: Effect.sleep(50), text: view.prompt }))]
    return yield* on(
      script,
      Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { delegate: "off" }))
        const exits = yield* Effect.forEach(many, (it) => Effect.exit(session.prompt(it)), { concurrency: "unbounded" })
        const tags = exits.map(tagOf)
        const won = tags.filter((tag) => tag === "success").length
        const busy = tags.filter((tag) => tag === "SessionBusy").length
        yield* expect(won === 1 && busy === 99, `${won} won, ${busy} were refused`)
        const written = (yield* session.history).filter((entry) => entry._tag === "User")
        yield* expect(written.length === 1, `${written.length} inputs are in the history`)
        return "one runs, 99 are refused with SessionBusy and leave nothing"
      })
    )
  })
}

const inLine: HardCase = {
  name: "a hundred prompts at once, with wait",
  run: on(
    [Script.always((view) => view.prompt)],
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { delegate: "off" }))
      const replies = yield* Effect.forEach(many, (it) => session.prompt(it, { onBusy: "wait" }), {
        concurrency: "unbounded"
      })
      yield* expect(
        replies.every(({ text }, i) => text === many[i]),
        "an answer is another's"
      )
      const said = (yield* session.history).flatMap((entry) =>
        entry._tag === "User" || entry._tag === "Assistant"
          ? entry.content.flatMap((part) => (part.type === "text" ? [part.text] : []))
          : []
      )
      const inOrder = many.flatMap((it) => [it, it])
      yield* expect(said.join() === inOrder.join(), "the history is not in the order of the calls")
      return "all run, one after the other in the order of the calls"
    })
  )
}

export const cases: ReadonlyArray<HardCase> = [
  reentry,
  deep,
  parallel,
  hungTool("its own deadline", deadline, "success", hungTools(deadline), (session) =>
    Effect.tap(session.prompt("go"), ({ text }) => expect(text === "went on", `the model was told otherwise: ${text}`))
  ),
  hungTool("Effect.timeout by the caller", deadline + grace, "TimeoutException", hungTools(), (session) =>
    Effect.timeout(session.prompt("go"), deadline)
  ),
  hungTool("the limit of time", deadline + grace, "LimitReached", hungTools(undefined, { wallTime: deadline }), (it) =>
    it.prompt("go")
  ),
  shutdown,
  endless,
  abort,
  paid,
  badArguments,
  refused,
  inLine
]
