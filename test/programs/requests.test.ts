/**
 * What providers are sent keeps to their rules: after an interruption at any instant, after a failure of any of their
 * replies, and after a crash between any two entries.
 */
import { setImmediate } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, FiberId, Layer, Option, Schema } from "effect"
import {
  Agent,
  Conversation,
  type Entry,
  Errors,
  Model,
  Script,
  SessionLock,
  Sessions,
  SessionStore,
  Tool
} from "effect-baton"
import { engineOver } from "../support/engine.js"
import {
  anthropicProblems,
  chatProblems,
  type Items,
  responsesProblems,
  type Signed
} from "../support/providerRules.js"
import { runSeeded } from "../support/SeededScheduler.js"
import { anthropicMessages, bodiesOf, chatCompletions, openAiResponses } from "../support/wire.js"

const script: Script.Script = [
  Script.on(
    "go",
    {
      reasoning: "I need notes.",
      text: "First, tools. ",
      chunk: 4,
      calls: [
        Script.call("note", { text: "one" }),
        Script.task("look", { agent: "child" }),
        Script.call("missing"),
        Script.call("note", { text: 3 }),
        Script.call("note", "not an object")
      ]
    },
    { reasoning: "Not yet.", text: "One moment. ", chunk: 6, finish: "pause" },
    { reasoning: "Now.", calls: [Script.call("nap"), Script.call("note", { text: "" })] },
    { reasoning: "That was all.", text: "All done.\n", chunk: 3 }
  ),
  Script.on("look", { reasoning: "I look.", calls: [Script.call("note", { text: "child" })] }, "The child looked."),
  Script.on("next", { reasoning: "Still?", text: "Still here." })
]

// -------------------------------------------------------------------- a provider that signs, and fails when told

type Fault = "transient" | "cut" | "cut once" | "permanent" | "overflow" | "silent" | "dies" | "throws"

const faults: ReadonlyArray<Fault> = [
  "transient",
  "cut",
  "cut once",
  "permanent",
  "overflow",
  "silent",
  "dies",
  "throws"
]

interface Provider {
  readonly layer: Layer.Layer<Model.Model>
  /** Every request, in order. */
  readonly requests: Array<Model.ModelRequest>
  /** How many different ones there were: a retry asks the same. */
  readonly asked: Map<string, number>
  fault: { readonly at: number; readonly kind: Fault } | undefined
}

/** What was signed and which items came together, by the replies of every run: the same history brings the same. */
const signed = new Map<string, Signed>()
const items = new Map<string, Items[number]>()

const provider = (fault: Provider["fault"]): Provider => {
  const asked = new Map<string, number>()
  const requests: Array<Model.ModelRequest> = []
  const it: Provider = {
    fault,
    requests,
    asked,
    layer: Layer.succeed(Model.Model, {
      defaultModel: "m",
      stream: (request, emit) => {
        requests.push(request)
        const key = JSON.stringify(request.messages)
        const attempts = (asked.get(key) ?? 0) + 1
        asked.set(key, attempts)
        const place = [...asked.keys()].indexOf(key)
        // The very first attempt fails in any case: a retry is a part of what is cut.
        const kind = it.fault?.at === place ? it.fault.kind : place === 0 && attempts === 1 ? "cut once" : undefined
        return reply(request, emit, kind === "cut once" && attempts > 1 ? undefined : kind)
      }
    })
  }
  return it
}

const reply = (
  request: Model.ModelRequest,
  emit: (event: Model.ModelEvent) => void,
  fault: Fault | undefined
): Effect.Effect<Model.ModelFinish, Errors.ModelError> => {
  const model = request.model
  const failure = new Errors.ModelUnavailable({ model, reason: "overloaded" })
  if (fault === "throws") throw new Error("thrown")
  const turn = Script.choose(script, request)
  if (turn instanceof Errors.ModelRejected) return turn
  const events = signedEvents(turn, request)
  const say = (count: number) =>
    Effect.forEach(events.slice(0, count), (event) =>
      Effect.zipRight(
        Effect.yieldNow(),
        Effect.sync(() => emit(event))
      )
    )
  switch (fault) {
    case "transient":
      return failure
    case "cut":
    case "cut once":
      return Effect.zipRight(say(Math.ceil(events.length / 2)), failure)
    case "permanent":
      return new Errors.ModelRejected({ model, reason: "no", status: 400 })
    case "overflow":
      return new Errors.ContextOverflow({ model, reason: "too long" })
    case "silent":
      return Effect.zipRight(say(1), Effect.never)
    case "dies":
      return Effect.dieMessage("died")
    case undefined:
      return Effect.as(say(events.length), Script.finishOf(turn, request))
  }
}

/** The events of a turn with what Anthropic and OpenAI bring beside them and want back. */
const signedEvents = (turn: Script.Turn, request: Model.ModelRequest): ReadonlyArray<Model.ModelEvent> => {
  const place = `${Script.view(request).prompt}_${request.messages.length}`
  const own: Array<string> = []
  const item = (kind: string) => {
    own.push(`${kind}_${place}_${own.length}`)
    return own.at(-1)!
  }
  const events = Script.eventsOf(turn, request).flatMap((event, i, all): ReadonlyArray<Model.ModelEvent> => {
    switch (event._tag) {
      case "ReasoningEnd": {
        const signature = `signature_${place}`
        signed.set(signature, { thinking: turn.reasoning!, signature })
        const openai = { itemId: item("rs"), encryptedContent: "encrypted" }
        return [{ ...event, metadata: { anthropic: { type: "thinking", signature }, openai } }]
      }
      case "TextDelta":
        return all[i + 1]?._tag === "TextDelta"
          ? [event]
          : [event, { _tag: "TextEnd", metadata: { openai: { itemId: item("msg") } } }]
      case "ToolCall":
        return [{ ...event, metadata: { openai: { itemId: item("fc") } } }]
      default:
        return [event]
    }
  })
  items.set(place, own)
  return events
}

// -------------------------------------------------------------------- one run

interface Outcome {
  /** The session's history and its children's, to the end. */
  readonly histories: ReadonlyArray<ReadonlyArray<Entry.Entry>>
  readonly exit: Exit.Exit<unknown, unknown>
  readonly free: boolean
  readonly next: string
}

/** Runs the script under a seed, with a fault of the provider, and interrupts the prompt at a step. */
const run = (seed: number, at: number, fault?: Provider["fault"]) => {
  const note = Tool.make("note", {
    description: "Writes a note",
    parameters: Schema.Struct({ text: Schema.String }),
    run: ({ text }) => Effect.as(Effect.yieldNow(), text)
  })
  const nap = Tool.make("nap", { description: "Sleeps", run: () => Effect.as(Effect.sleep("1 second"), "rested") })
  const child = Agent.make("child", { tools: [note], delegate: "off" })
  const agent = Agent.make("a", {
    instructions: "Be brief.",
    tools: [note, nap],
    subagents: [child],
    delegate: "off",
    // The script counts the replies that it sees, and would begin anew. compaction.property.test.ts sends what is compacted.
    compaction: "off"
  })
  const model = provider(fault)
  let prompt: Fiber.RuntimeFiber<unknown, unknown> | undefined
  let over = false
  let reached = false
  let begin = 0
  const program: Effect.Effect<Outcome, unknown> = Effect.gen(function* () {
    const sessions = yield* Sessions.Sessions
    const session = yield* sessions.open({ id: "s", agent })
    prompt = yield* Effect.fork(session.prompt("go"))
    const exit = yield* Fiber.await(prompt)
    over = true
    model.fault = undefined
    const free = Option.isNone(yield* (yield* SessionLock.SessionLock).holder("s"))
    const { text } = yield* session.prompt("next")
    const histories = [...(yield* SessionStore.Memory).values()].map(({ entries }) => [...entries])
    return { histories, exit, free, next: text }
  }).pipe(Effect.provide(engineOver(Layer.merge(SessionStore.layerMemory, model.layer))))
  const { exit } = runSeeded(program, {
    seed,
    onStep: (step) => {
      if (prompt === undefined) begin = step + 1
      if (step !== at || over) return
      reached = true
      prompt?.unsafeInterruptAsFork(FiberId.none)
    }
  })
  if (exit === undefined || Exit.isFailure(exit)) {
    throw new Error(`step ${at}: ${exit === undefined ? "hung" : Cause.pretty(exit.cause)}`)
  }
  assert.isTrue(exit.value.free, `step ${at}: the session is free`)
  assert.strictEqual(exit.value.next, "Still here.", `step ${at}`)
  return { ...exit.value, model, reached, begin }
}

// -------------------------------------------------------------------- what is sent

/** What is another in every run. */
const ofOneRun: ReadonlySet<string> = new Set(["at", "child", "operationId", "taskId"])

/** Requests that were sent in the tests before. */
const known = new Set<string>()

/** Requests that differ, and where each was met first. */
class Requests {
  private readonly cut = new Set<string>()
  private readonly byMessages = new Map<string, { readonly messages: Messages; readonly where: string }>()

  get size(): number {
    return this.byMessages.size
  }

  add(messages: Messages, where: string): void {
    // What is told to no model is no request.
    if (messages.length === 0 || messages.at(-1)!.role === "assistant") return
    const key = JSON.stringify(messages)
    if (!this.byMessages.has(key)) this.byMessages.set(key, { messages, where })
  }

  /** What was sent, and what would be: a crash may come between any two entries, and then the next prompt. */
  addRun({ histories, model }: ReturnType<typeof run>, where: string): void {
    for (const { messages } of model.requests) this.add(messages, `${where}, sent`)
    const last = histories[0]!.findLastIndex((entry) => entry._tag === "OperationStarted")
    const next = histories[0]!.slice(last, last + 2)
    for (const history of histories) {
      const key = JSON.stringify(history, (name, value: unknown) => (ofOneRun.has(name) ? undefined : value))
      if (this.cut.has(key)) continue
      this.cut.add(key)
      for (let n = 0; n <= history.length; n++) {
        const before = history.slice(0, n)
        this.add(Conversation.fold(before), `${where}, cut before entry ${n + 1}`)
        this.add(Conversation.fold([...before, ...next]), `${where}, cut before entry ${n + 1}, the next prompt`)
      }
    }
  }

  /** Sends them all to each provider and says what is wrong. */
  async problems(): Promise<ReadonlyArray<string>> {
    const all = [...this.byMessages].flatMap(([key, it]) => (known.has(key) ? [] : [it]))
    for (const key of this.byMessages.keys()) known.add(key)
    const requests = all.map(({ messages }) => ({ instructions: "Be brief.", messages, tools }))
    const wrong = (bodies: ReadonlyArray<unknown>, problems: (body: unknown) => ReadonlyArray<string>) =>
      bodies.flatMap((body, i) => problems(body).map((it) => `${all[i]!.where}: ${it}`))
    const [anthropic, openAi, chat] = await Effect.runPromise(
      Effect.all([
        bodiesOf(anthropicMessages, requests),
        bodiesOf(openAiResponses, requests),
        bodiesOf(chatCompletions, requests)
      ])
    )
    return [
      ...wrong(anthropic, (body) => anthropicProblems(body, [...signed.values()])),
      ...wrong(openAi, (body) => responsesProblems(body, [...items.values()])),
      ...wrong(chat, chatProblems)
    ]
  }
}

type Messages = ReadonlyArray<Conversation.Message>

const tools: ReadonlyArray<Model.ToolSpec> = ["note", "nap", "task"].map((name) => ({
  name,
  description: name,
  inputSchema: { type: "object", properties: {} }
}))

describe("requests to Anthropic, OpenAI and what is compatible", () => {
  for (const seed of [1, 2]) {
    it(`after an interruption at every scheduler step (seed ${seed})`, { timeout: 120_000 }, async () => {
      const requests = new Requests()
      let cut = 0
      for (let at = run(seed, -1).begin; ; at++) {
        const it = run(seed, at)
        if (!it.reached) break
        if (Exit.isFailure(it.exit)) {
          assert.isTrue(Cause.isInterruptedOnly(it.exit.cause), `step ${at}: ${Cause.pretty(it.exit.cause)}`)
          cut++
        }
        requests.addRun(it, `interrupted at step ${at}`)
        // The runner reports between the runs.
        if (at % 64 === 0) await setImmediate()
      }
      assert.isAbove(cut, 200, "most steps lie within the prompt")
      assert.isAbove(requests.size, 50)
      assert.deepStrictEqual(await requests.problems(), [])
    })
  }

  for (const kind of faults) {
    it(`after a failure of every reply: ${kind}`, { timeout: 120_000 }, async () => {
      const requests = new Requests()
      for (const seed of [1, 2, 3]) {
        for (let at = 0; ; at++) {
          const it = run(seed, -1, { at, kind })
          const replies = it.model.asked.size
          requests.addRun(it, `reply ${at} ${kind}, seed ${seed}`)
          if (at >= replies) break
        }
      }
      assert.deepStrictEqual(await requests.problems(), [])
    })
  }

  it("of a history that another provider wrote, which signed nothing", async () => {
    const requests = new Requests()
    for (let at = run(1, -1).begin; ; at += 16) {
      const it = run(1, at)
      if (!it.reached) break
      for (const { messages } of it.model.requests) requests.add(unsigned(messages), `interrupted at step ${at}, sent`)
    }
    assert.isAbove(requests.size, 10)
    assert.deepStrictEqual(await requests.problems(), [])
  })
})

/** Messages without what their provider wants back. */
const unsigned = (messages: Messages): Messages =>
  JSON.parse(JSON.stringify(messages, (name, value: unknown) => (name === "metadata" ? undefined : value))) as Messages
