/**
 * Pairing of events: whatever runs at the same time, fails, is retried or is cut at whatever step, each start has
 * exactly one end and lies within what it is a part of, and a replay brings what was heard live.
 */
import { it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, FastCheck as fc, Fiber, FiberId, Layer, Queue, Random, Stream } from "effect"
import { Agent, Errors, type Event, Events, Model, Sandbox, Script, Sessions, Tool } from "effect-baton"
import { SessionLock } from "../../src/services/SessionLock.js"
import { forAll, runs, timeout } from "../laws/support/property.js"
import { runSeeded } from "../support/SeededScheduler.js"
import { openEngine } from "../support/stage.js"
import { emptySandbox } from "../support/emptySandbox.js"

const names = ["work", "broken", "task", "inner", "missing", "steer", "slow"] as const

interface Reply {
  readonly does: "say" | "reject" | "flaky" | ReadonlyArray<(typeof names)[number]>
  /** In yields. */
  readonly thinks: number
}

interface Caller {
  readonly after: number
  readonly kind: "wait" | "interrupt" | "rollback" | "followUp" | "task" | "shell"
}

class Case {
  constructor(
    readonly seed: number,
    /** The step at which the first caller is interrupted. */
    readonly cut: number | undefined,
    readonly callers: ReadonlyArray<Caller>,
    /** One for each request, then from the start again. */
    readonly replies: ReadonlyArray<Reply>
  ) {}

  [fc.toStringMethod](): string {
    const callers = this.callers.map(({ after, kind }) => `${kind} after ${after}`).join(", ")
    const replies = this.replies.map(
      ({ does, thinks }) =>
        `${thinks === 0 ? "" : `${thinks} `}${typeof does === "string" ? does : `[${does.join(" ")}]`}`
    )
    const cut = this.cut === undefined ? "" : `, the first interrupted at step ${this.cut}`
    return `\n  scheduler seed ${this.seed}${cut}\n  callers: ${callers}\n  model: ${replies.join(", ")}\n`
  }
}

const cases: fc.Arbitrary<Case> = fc
  .tuple(
    fc.nat(0xffffff),
    fc.option(fc.nat(4_000), { nil: undefined, freq: 3 }),
    fc.array(
      fc.record({
        after: fc.nat(60),
        kind: fc.constantFrom<Caller["kind"]>("wait", "interrupt", "rollback", "followUp", "task", "shell")
      }),
      { minLength: 1, maxLength: 4 }
    ),
    fc.array(
      fc.record({
        does: fc.oneof(
          { arbitrary: fc.constant("say" as const), weight: 3 },
          { arbitrary: fc.constantFrom("reject" as const, "flaky" as const, "flaky" as const), weight: 2 },
          { arbitrary: fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 4 }), weight: 5 }
        ),
        thinks: fc.oneof(fc.constant(0), fc.nat(20))
      }),
      { minLength: 1, maxLength: 6 }
    )
  )
  .map(([seed, cut, callers, replies]) => new Case(seed, cut, callers, replies))

/** After so many requests the model only talks. */
const most = 14

const check = ({ callers, cut, replies, seed }: Case): string | undefined => {
  let asked = 0
  const stream: Model.Model["Type"]["stream"] = (request, emit) =>
    Effect.suspend(() => {
      const chosen = replies[asked % replies.length]!
      const n = ++asked
      const { does, thinks } = n > most ? { does: "say" as const, thinks: 0 } : chosen
      const turn: Script.Turn =
        typeof does === "string"
          ? { reasoning: "hm", text: `reply ${n}`, chunk: 3 }
          : {
              text: "tools",
              calls: does.map((name, i) =>
                name === "task" ? Script.task("sub", { agent: "child" }) : Script.call(name, {}, `c${n}_${i}`)
              )
            }
      const events = Script.eventsOf(turn, request)
      const say = (from: number, to?: number) =>
        Effect.sync(() => {
          for (const event of events.slice(from, to)) emit(event)
        })
      return Effect.repeatN(Effect.yieldNow(), thinks).pipe(
        Effect.zipRight(say(0, 2)),
        Effect.zipRight(Effect.yieldNow()),
        Effect.zipRight(say(2)),
        Effect.zipRight(
          Effect.suspend((): Effect.Effect<Model.ModelFinish, Errors.ModelError> => {
            if (does === "reject") return new Errors.ModelRejected({ model: "m", reason: "no" })
            if (does === "flaky") return new Errors.ModelUnavailable({ model: "m", reason: "not now" })
            return Effect.succeed(Script.finishOf(turn, request))
          })
        ),
        // Some speak on after their end.
        Effect.tap(() =>
          Effect.forkDaemon(
            Effect.zipRight(
              Effect.repeatN(Effect.yieldNow(), 2 * thinks),
              Effect.sync(() => emit({ _tag: "TextDelta", text: "late" }))
            )
          )
        )
      )
    })
  let wrong: string | undefined
  const engine = openEngine(Layer.succeed(Model.Model, { defaultModel: "m", stream }), (parts) => {
    const lock = Context.get(parts, SessionLock)
    return Context.add(parts, SessionLock, {
      ...lock,
      hold: (request, use, options) =>
        lock.hold(request, use, {
          ...options,
          onIdle: () => {
            // Every session here is this one or below it.
            if (request.session === "s" && engine.lock.size() > 0) wrong ??= "Idle while somebody was in line"
            options?.onIdle?.()
          }
        })
    })
  })

  let sessions: ReadonlyArray<Sessions.Session> = []
  let results = 0
  const tool = (name: string, run: () => Effect.Effect<unknown, unknown>) => Tool.make(name, { description: name, run })
  const done = (effect: Effect.Effect<unknown, unknown>) => Effect.map(Effect.exit(effect), () => ++results)
  const simple = [
    tool("work", () => Effect.as(Effect.repeatN(Effect.yieldNow(), 4), ++results)),
    tool("broken", () => Effect.fail(`broken ${++results}`)),
    tool("steer", () => done(Effect.suspend(() => sessions[0]!.prompt("psst", { onBusy: "steer" }))))
  ]
  const low = Agent.make("child", { description: "c", tools: simple, delegate: "off" })
  const inner = tool("inner", () => done(Effect.suspend(() => sessions[0]!.task("sub", { agent: low }))))
  const mid = Agent.make("child", { description: "c", tools: simple, subagents: [low], delegate: "off" })
  const slow = Tool.make("slow", {
    description: "Is given up when its task takes time",
    deadline: 5,
    run: () => done(Effect.suspend(() => sessions[0]!.task("sub", { agent: low })))
  })
  const agent = Agent.make("a", { tools: [...simple, inner, slow], subagents: [mid], delegate: "off" })
  const exec = () => Effect.as(Effect.repeatN(Effect.yieldNow(), 20), { stdout: "", stderr: "", exitCode: 0 })
  const sandbox = Layer.succeed(Sandbox.Sandbox, emptySandbox(exec))
  const limits = { turns: 4, retries: 1 }

  const all: Array<Event.Event> = []
  let first: Fiber.RuntimeFiber<unknown, unknown> | undefined
  const program = Effect.scoped(
    Effect.gen(function* () {
      const hub = yield* Events.Events
      const lock = yield* SessionLock
      const session = yield* (yield* Sessions.Sessions).open({ id: "s", agent })
      sessions = [session]
      const queue = yield* hub.subscribe()
      const note = (event: Event.Event) => {
        all.push(event)
      }
      const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
      for (const { after, kind } of callers) {
        const ask: Effect.Effect<unknown, unknown> =
          kind === "task"
            ? session.task("own", { agent: low, onBusy: "wait", limits })
            : kind === "shell"
              ? session.shell("true", { onBusy: "wait" })
              : session.prompt("go", { onBusy: kind, limits })
        fibers.push(yield* Effect.fork(Effect.zipRight(Effect.repeatN(Effect.yieldNow(), after), ask)))
        first ??= fibers[0]
      }
      yield* Effect.forEach(fibers, Fiber.await)
      for (const event of yield* Queue.takeAll(queue)) note(event)
      const ids = new Set(all.map((event) => event.session))
      for (const id of ids) {
        const it = id === "s" ? session : yield* (yield* Sessions.Sessions).get({ id, agent: low })
        const replayed = yield* Stream.runCollect(Stream.takeUntil(it.replay(), (event) => event._tag === "Synced"))
        const past = [...replayed].slice(0, -1)
        const heard = all.filter((event) => event.session === id && "seq" in event)
        if (JSON.stringify(past) !== JSON.stringify(heard)) wrong ??= `the replay of ${id} is not what was heard`
      }
      if ((yield* lock.holder("s"))._tag === "Some") wrong ??= "the session was not free"
    })
  ).pipe(Effect.provide(Layer.provideMerge(engine.layer, sandbox)), Effect.withRandom(Random.make(seed)))
  const { exit } = runSeeded(program, {
    seed,
    onStep: (step) => {
      if (step === cut) first?.unsafeInterruptAsFork(FiberId.none)
    }
  })
  if (exit === undefined) return "hang"
  if (Exit.isFailure(exit)) return Cause.pretty(exit.cause)
  return wrong ?? paired(all) ?? idle(all)
}

/** What has begun and not ended. */
interface Open {
  readonly what: string
  readonly parent: string | undefined
}

const operationOf = (event: { readonly session: string; readonly operationId: string }) =>
  `operation ${event.operationId} of ${event.session}`
const turnOf = (event: { readonly session: string; readonly operationId: string }) => `turn of ${operationOf(event)}`

/** Each start has one end, and nothing ends while something within it has not. */
const paired = (all: ReadonlyArray<Event.Event>): string | undefined => {
  const open = new Map<string, Open>()
  const over = new Set<string>()
  const childOf = new Map<string, string>()
  const turns = new Map<string, number>()
  let wrong: string | undefined
  const blame = (why: string) => {
    wrong ??= why
  }
  const start = (key: string, parent: string | undefined) => {
    if (open.has(key) || over.has(key)) blame(`${key} started twice`)
    if (parent !== undefined && !open.has(parent)) blame(`${key} started outside of ${parent}`)
    open.set(key, { what: key, parent })
  }
  const inTurn = (event: { readonly session: string; readonly operationId: string }) =>
    open.has(turnOf(event)) ? turnOf(event) : operationOf(event)
  /** What a call that was given up had begun ends with the operation at the latest. */
  const giveUp = (key: string, operation: string) => {
    for (const [within, it] of open) if (it.parent === key) open.set(within, { ...it, parent: operation })
  }
  const end = (key: string) => {
    if (!open.delete(key)) blame(`${key} ended and was not open`)
    over.add(key)
    for (const [within, { parent }] of open) if (parent === key) blame(`${key} ended before ${within}`)
  }
  for (const event of all) {
    switch (event._tag) {
      case "OperationStarted":
        start(operationOf(event), childOf.get(event.session))
        break
      case "OperationCompleted":
      case "OperationFailed":
      case "OperationInterrupted":
        if (event._tag === "OperationFailed" && event.error.tag === "Defect") blame(event.error.message)
        end(operationOf(event))
        break
      case "TurnStarted": {
        const before = turns.get(operationOf(event)) ?? 0
        if (event.turn !== before + 1) blame(`turn ${event.turn} after turn ${before}`)
        turns.set(operationOf(event), event.turn)
        over.delete(turnOf(event))
        start(turnOf(event), operationOf(event))
        break
      }
      case "TurnCompleted":
      case "TurnFailed":
        if (event.turn !== turns.get(operationOf(event))) blame(`turn ${event.turn} ended and is another`)
        end(turnOf(event))
        break
      case "ToolStarted":
        start(`call ${event.callId} in ${turnOf(event)}`, inTurn(event))
        break
      case "ToolSettled": {
        const key = `call ${event.callId} in ${turnOf(event)}`
        if (event.outcome === "deadline" || event.outcome === "interrupted") giveUp(key, operationOf(event))
        // A call that was refused or never run has no start.
        if (open.has(key)) end(key)
        else if (event.outcome !== "failure" && event.outcome !== "not-run") blame(`${key} ended and was not open`)
        else if (over.has(key)) blame(`${key} ended twice`)
        break
      }
      case "TaskStarted": {
        const key = `task ${event.taskId}`
        const call = `call ${event.callId} in ${turnOf(event)}`
        start(key, event.callId === undefined ? operationOf(event) : call)
        childOf.set(event.child, key)
        break
      }
      case "TaskCompleted":
      case "TaskFailed":
        end(`task ${event.taskId}`)
        break
      case "TextDelta":
      case "ReasoningDelta":
      case "ModelRetry":
      case "AssistantMessage":
        if (!open.has(turnOf(event)) && !isShell(event)) blame(`${event._tag} outside of a turn`)
        break
      case "UserMessage":
        if (!open.has(operationOf(event))) blame("a message outside of an operation")
        break
      case "HeadMoved":
        for (const { what } of open.values())
          if (what.endsWith(`of ${event.session}`)) blame(`the head moved in ${what}`)
        break
    }
  }
  return wrong ?? (open.size === 0 ? undefined : `these have no end: ${[...open.keys()].join(", ")}`)
}

/** What the application ran stands in the history as a call that no model made. */
const isShell = (event: Event.Event) => event._tag === "AssistantMessage" && event.model === ""

/** Between the operations of a session there is `Idle` where nobody was in line, and after the last one in any case. */
const idle = (all: ReadonlyArray<Event.Event>): string | undefined => {
  const own = all.filter(
    (event) => event.session === "s" && (event._tag === "Idle" || event._tag.startsWith("Operation"))
  )
  if (own.length === 0) return undefined
  if (own.at(-1)?._tag !== "Idle") return "the session is not idle at the end"
  let running = 0
  for (const event of own) {
    if (event._tag === "OperationStarted") running++
    else if (event._tag !== "Idle") running--
    else if (running !== 0) return "Idle while an operation ran"
  }
  return undefined
}

it.effect("each start has one end within its parent", () => forAll(cases, Math.ceil(runs / 10), check), timeout)
