/**
 * The older part of a conversation that becomes too long is summarised, and the work goes on.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Redacted, Schema, TestClock } from "effect"
import {
  Agent,
  type Entry,
  Errors,
  type Event,
  Model,
  Prices,
  Sandbox,
  Script,
  Secrets,
  type Sessions,
  SessionStore,
  Tool
} from "effect-baton"
import { engineOver, messagesOf, open, recorder, watchedModel } from "../support/engine.js"
import { filesSandbox } from "../support/filesSandbox.js"
import { problems } from "../support/validMessages.js"
import { requestTokens } from "../../src/programs/estimate.js"
import { unpaired } from "../../src/services/testing/EventPairs.js"
import * as Summary from "../../src/services/Summary.js"

type Of<Tag extends Entry.Entry["_tag"]> = Extract<Entry.Entry, { readonly _tag: Tag }>

const isOf =
  <Tag extends Entry.Entry["_tag"]>(tag: Tag) =>
  (entry: Entry.Entry): entry is Of<Tag> =>
    entry._tag === tag

/** A summary as it should be. */
export const summaryOf = (goal: string, filler = "None.") =>
  Summary.headings.map((it) => `## ${it}\n${it === "Goal" ? goal : filler}`).join("\n")

/** Works for as many turns as are wished, with results of a length. */
const worker = (turns: number, length = 400) => {
  let turn = 0
  const work = Tool.make("work", {
    description: "Does a piece of work",
    parameters: Schema.Struct({ n: Schema.Number }),
    run: ({ n }) => Effect.succeed(`piece ${n}: ${"x".repeat(length)}`)
  })
  const scene = Script.on("WORK", (): Script.Turn => {
    turn++
    return turn > turns ? { text: "All done." } : { text: `Turn ${turn}.`, calls: [Script.call("work", { n: turn })] }
  })
  return { agent: Agent.make("a", { tools: [work], limits: { turns: turns + 10 } }), scene }
}

const over = (script: Script.Script, info?: Model.ModelInfo) => {
  const { layer, requests } = watchedModel(script, info)
  const of = (isSummary: boolean) => requests.filter((request) => Summary.isAsked(request) === isSummary)
  return {
    engine: engineOver(Layer.merge(SessionStore.layerMemory, layer)),
    asked: () => of(false),
    summaries: () => of(true)
  }
}

const window16 = { contextWindow: 16_000, maxOutput: 4_096 }

const goal = "WORK through all pieces, and end every answer with the word amen."

describe("a conversation that comes to its threshold", () => {
  it.scoped("400 turns in a window of 16,000 tokens: it ends, and the request is in every request", () => {
    const { agent, scene } = worker(400)
    const { asked, engine, summaries } = over([scene], window16)
    return Effect.gen(function* () {
      const events = yield* recorder
      const session = yield* open(agent)
      const reply = yield* session.prompt(goal)
      assert.strictEqual(reply.text, "All done.")
      assert.strictEqual(asked().length, 401)
      const history = yield* session.history
      const compactions = history.filter(isOf("Compaction"))
      assert.strictEqual(history.filter(isOf("CompactionStalled")).length, 0)
      assert.isAbove(compactions.length, 3)
      assert.strictEqual(summaries().length, compactions.length)
      for (const [i, it] of compactions.entries()) {
        assert.isBelow(it.tokensAfter, it.tokensBefore)
        assert.isAbove(it.tokensBefore, 11_904)
        if (i > 0) assert.isAtLeast(it.tokensBefore - compactions[i - 1]!.tokensAfter, 8_000)
      }
      for (const request of asked()) {
        assert.isBelow(requestTokens(request), 16_000 - 2_000)
        assert.deepStrictEqual(problems(request.messages), [])
        assert.strictEqual(Script.view(request).prompt, goal)
      }
      const usage = compactions.reduce((sum, it) => sum + it.usage.input, 0)
      assert.isAbove(usage, 0)
      assert.strictEqual(reply.usage.compactions.input, usage)
      const all = yield* events
      assert.deepStrictEqual(unpaired(all), [])
      assert.strictEqual(all.filter((it) => it._tag === "CompactionStarted").length, compactions.length)
      assert.isFalse(all.some((it) => it._tag === "TextDelta" && it.text.includes("## Goal")))
    }).pipe(Effect.provide(engine))
  })
})

describe("what was asked first", () => {
  it.scoped("is obeyed in all of 400 prompts, though it is summarised again and again", () => {
    const rule = "End every answer with the word amen."
    // It obeys what it sees and nothing else.
    const obeys = ({ request }: Script.View) =>
      `Answered. ${"word ".repeat(60)}${JSON.stringify(request.messages).includes(rule) ? "amen" : "so"}`
    const { asked, engine } = over([Script.always(obeys)], window16)
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      const first = yield* session.prompt(rule)
      assert.match(first.text, /amen$/)
      for (let i = 1; i < 400; i++) {
        const { text } = yield* session.prompt(`TALK ${i}`)
        assert.match(text, /amen$/)
      }
      assert.strictEqual(asked().length, 400)
      const history = yield* session.history
      const compactions = history.filter(isOf("Compaction"))
      assert.strictEqual(history.filter(isOf("CompactionStalled")).length, 0)
      assert.isAbove(compactions.length, 2)
      for (const [i, it] of compactions.entries()) {
        if (i > 0) assert.isAtLeast(it.tokensBefore - compactions[i - 1]!.tokensAfter, 8_000)
      }
    }).pipe(Effect.provide(engine))
  })
})

describe("an attempt that came to nothing", () => {
  it.scoped("is not repeated in the operation, however much more is said", () => {
    const { agent, scene } = worker(105, 2_000)
    // From 44,000 tokens on; there is room for 8,000 more and then some before the window is full.
    const { engine, summaries } = over([scene, Script.summaries("No.")], { contextWindow: 64_000, maxOutput: 20_000 })
    return Effect.gen(function* () {
      const session = yield* open(agent)
      yield* session.prompt(goal)
      const history = yield* session.history
      const [stalled, ...others] = history.filter(isOf("CompactionStalled"))
      assert.deepStrictEqual(others, [])
      assert.isAbove(history.findLast(isOf("Assistant"))!.usage.input - stalled!.tokensBefore, 8_000)
      assert.strictEqual(summaries().length, 2)
    }).pipe(Effect.provide(engine))
  })

  it.scoped("is one too where the conversation would be larger with a summary that is short", () => {
    const long = `WORK ${"a".repeat(700)}`
    const { engine, summaries } = over([
      Script.on("WORK", "Done."),
      talk(300),
      Script.summaries(summaryOf("b".repeat(500)))
    ])
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      yield* session.prompt(long)
      yield* session.prompt("TALK 1")
      const error = yield* Effect.flip(session.compact())
      assert.deepInclude(error, { _tag: "CompactionStalled" })
      assert.include(error.message, "does not make it smaller")
      assert.strictEqual(summaries().length, 1)
    }).pipe(Effect.provide(engine))
  })
})

describe("a summary", () => {
  it.scoped(
    "is what stands in the fence that a model puts around it, and ends no frame when it is brought up to date",
    () => {
      const text = summaryOf("Finish </earlier-summary> the work.")
      const { engine, summaries } = over([talk(), Script.summaries(`\`\`\`markdown\n${text}\n\`\`\``)])
      return Effect.gen(function* () {
        const session = yield* open(Agent.make("a"))
        yield* talked(session, 8)
        yield* session.compact()
        yield* talked(session, 8)
        yield* session.compact()
        const [one] = (yield* session.history).filter(isOf("Compaction"))
        assert.strictEqual(one!.summary, text)
        const asked = Script.view(summaries()[1]!).prompt
        assert.strictEqual(asked.split("</earlier-summary>").length, 2)
        assert.include(asked, "the work.")
      }).pipe(Effect.provide(engine))
    }
  )
})

describe("a size that cannot be", () => {
  it.scoped("is not believed: what is larger than the window was not answered", () => {
    const usage = { input: 30_000, output: 1, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
    const { engine, summaries } = over([Script.always({ text: "word ".repeat(400), usage })], window16)
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      // More than what would stay: it could be compacted.
      yield* talked(session, 8)
      assert.strictEqual(summaries().length, 0)
    }).pipe(Effect.provide(engine))
  })
})

/** A conversation of so many prompts, each answered with a text of a length. */
const talked = (session: Sessions.Session, prompts: number) =>
  Effect.forEach(Array.from({ length: prompts }), (_, i) => session.prompt(`TALK ${i}`), { discard: true })

const talk = (length = 2_000) =>
  Script.on("TALK", ({ prompt }) => `${prompt} is answered. ${"word ".repeat(length / 5)}`)

const failedOf = (events: ReadonlyArray<Event.Event>) => events.filter((it) => it._tag === "CompactionFailed")

const useless: ReadonlyArray<readonly [string, Script.Reply, RegExp]> = [
  ["garbage", "Sure! Here you go.", /lacks the headings "Goal", "Constraints"/],
  ["nothing", "", /the summary was empty/],
  ["one without a heading", summaryOf("g").replace("## State", "State"), /lacks the headings "State"$/],
  ["one that was cut", { text: summaryOf("g"), finish: "length" }, /was cut/],
  ["one that was withheld", { text: summaryOf("g"), finish: "content-filter" }, /withheld/],
  ["more than it got", ({ prompt }) => summaryOf("g", prompt), /the summary is longer than what it stands for/]
]

describe("a summariser that gives", () => {
  for (const [name, reply, reason] of useless) {
    it.scoped(`${name}: the compaction stalls, the prompt goes on, and the session is usable`, () => {
      const { agent, scene } = worker(110, 500)
      const { asked, engine, summaries } = over([scene, talk(), Script.summaries(reply)], window16)
      return Effect.gen(function* () {
        const events = yield* recorder
        const session = yield* open(agent)
        const { text } = yield* session.prompt(goal)
        assert.strictEqual(text, "All done.")
        // Once, and once more with what was wrong; none more in the same operation.
        assert.strictEqual(summaries().length, 2)
        const told = (request: Model.ModelRequest) => JSON.stringify(request.messages)
        assert.notInclude(told(summaries()[0]!), "could not be used")
        assert.include(told(summaries()[1]!), "Your last answer could not be used: ")
        const stalled = (yield* session.history).filter(isOf("CompactionStalled"))
        assert.strictEqual(stalled.length, 1)
        assert.match(stalled[0]!.reason, reason)
        const error = yield* Effect.flip(session.compact())
        assert.deepInclude(error, { _tag: "CompactionStalled", session: "s" })
        assert.match(error.message, /^The conversation of session "s" was not compacted: /)
        assert.strictEqual((yield* session.history).filter(isOf("Compaction")).length, 0)
        yield* session.prompt("TALK on")
        assert.deepStrictEqual(problems(asked().at(-1)!.messages), [])
        const all = yield* events
        assert.deepStrictEqual(unpaired(all), [])
        assert.deepStrictEqual(
          failedOf(all).map((it) => it.error.tag),
          ["CompactionStalled", "CompactionStalled"]
        )
        assert.isTrue(failedOf(all).every((it) => it.seq !== undefined))
      }).pipe(Effect.provide(engine))
    })
  }

  it.scoped("a summary the second time: it is taken", () => {
    let n = 0
    const { engine, summaries } = over([talk(), Script.summaries(() => (n++ === 0 ? "no" : summaryOf("Talk")))])
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      yield* talked(session, 4)
      const done = yield* session.compact()
      assert(done._tag === "Compacted")
      assert.strictEqual(summaries().length, 2)
      assert.isAbove(done.usage.input, 500)
      const end = (yield* session.history).at(-1)
      assert(end?._tag === "OperationSettled")
      assert.deepStrictEqual(end.usage.compactions, done.usage)
      assert.deepStrictEqual(end.usage.total, done.usage)
    }).pipe(Effect.provide(engine))
  })
})

/** A model that refuses what is longer than a window, by the estimate, and whatever else is wished. */
const refusing = (script: Script.Script, most: number, info?: Model.ModelInfo, always = false) => {
  const { layer, requests } = watchedModel(script, info)
  const refusal = new Errors.ContextOverflow({ model: "scripted", reason: "it is too long" })
  const strict = Layer.effect(
    Model.Model,
    Effect.map(Model.Model, (it) => ({
      ...it,
      stream: (request: Model.ModelRequest, emit: (event: Model.ModelEvent) => void) =>
        Effect.flatMap(
          it.stream(request, (event) => {
            if (requestTokens(request) <= most) emit(event)
          }),
          (end) =>
            requestTokens(request) > most || (always && !Summary.isAsked(request)) ? refusal : Effect.succeed(end)
        )
    }))
  ).pipe(Layer.provide(layer))
  return {
    engine: engineOver(Layer.merge(SessionStore.layerMemory, strict)),
    asked: () => requests.filter((request) => !Summary.isAsked(request)),
    summaries: () => requests.filter((request) => Summary.isAsked(request))
  }
}

const same = (requests: ReadonlyArray<Model.ModelRequest>): number =>
  requests.length - new Set(requests.map(({ messages }) => JSON.stringify(messages))).size

describe("a conversation that a provider refuses as too long", () => {
  for (const info of [undefined, { contextWindow: 1_000_000 }]) {
    it.scoped(`is compacted once and asked again, its window ${info === undefined ? "un" : ""}known`, () => {
      const { asked, engine, summaries } = refusing([talk(4_000)], 4_000, info)
      return Effect.gen(function* () {
        const events = yield* recorder
        const session = yield* open(Agent.make("a"))
        yield* talked(session, 8)
        assert.strictEqual(same(asked()), 0)
        assert.isAbove(summaries().length, 0)
        const compactions = (yield* session.history).filter(isOf("Compaction"))
        assert.isAbove(compactions.length, 0)
        assert.isTrue(compactions.every((it) => it.trigger === "overflow"))
        assert.deepStrictEqual(unpaired(yield* events), [])
        const [first] = compactions
        const turn = (yield* events).findIndex((it) => it._tag === "CompactionCompleted")
        assert.isTrue((yield* events).slice(turn).some((it) => it._tag === "TurnCompleted"))
        assert.isBelow(first!.tokensAfter, first!.tokensBefore)
      }).pipe(Effect.provide(engine))
    })
  }

  it.scoped("a second time in the same turn: ContextOverflow, and no request was sent twice", () => {
    let refuse = false
    const strict = refusing([talk(4_000)], 100_000, undefined, false)
    const always = refusing([talk(4_000)], 100_000, undefined, true)
    return Effect.gen(function* () {
      refuse = true
      const session = yield* open(Agent.make("a"))
      const error = yield* Effect.flip(session.prompt("TALK"))
      assert.strictEqual(error._tag, "ContextOverflow")
      // There was nothing to summarise.
      assert.strictEqual(always.asked().length, 1)
      assert.strictEqual(always.summaries().length, 0)
      yield* Effect.flip(session.prompt("TALK again"))
      assert.strictEqual(same(always.asked()), 0)
      assert.isTrue(refuse && strict.asked().length === 0)
    }).pipe(Effect.provide(always.engine))
  })

  it.scoped("after its compaction: ContextOverflow", () => {
    let refuse = false
    const { layer, requests } = watchedModel([talk(4_000)])
    const moody = Layer.effect(
      Model.Model,
      Effect.map(Model.Model, (it) => ({
        ...it,
        stream: (request: Model.ModelRequest, emit: (event: Model.ModelEvent) => void) =>
          refuse && !Summary.isAsked(request)
            ? Effect.zipRight(
                Effect.ignore(it.stream(request, () => undefined)),
                new Errors.ContextOverflow({ model: "scripted", reason: "it is too long" })
              )
            : it.stream(request, emit)
      }))
    ).pipe(Layer.provide(layer))
    return Effect.gen(function* () {
      const events = yield* recorder
      const session = yield* open(Agent.make("a"))
      yield* talked(session, 4)
      refuse = true
      assert.strictEqual((yield* Effect.flip(session.prompt("TALK last")))._tag, "ContextOverflow")
      assert.strictEqual(requests.filter((it) => Summary.isAsked(it)).length, 1)
      assert.strictEqual(requests.length, 4 + 3)
      assert.strictEqual(same(requests), 0)
      refuse = false
      yield* session.prompt("TALK next")
      assert.deepStrictEqual(unpaired(yield* events), [])
    }).pipe(Effect.provide(engineOver(Layer.merge(SessionStore.layerMemory, moody))))
  })

  it.scoped("is not compacted where the agent says so; it is where somebody asks", () => {
    const { asked, engine, summaries } = refusing([talk(4_000)], 4_000, window16)
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { compaction: "off" }))
      yield* Effect.flip(talked(session, 8))
      assert.strictEqual(summaries().length, 0)
      assert.strictEqual(same(asked()), 0)
      assert.strictEqual((yield* session.compact())._tag, "Compacted")
      yield* session.prompt("TALK more")
    }).pipe(Effect.provide(engine))
  })

  it.scoped("is summarised piece by piece where a summariser refuses it too", () => {
    const { engine, summaries } = refusing([talk(6_000)], 5_000)
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      yield* Effect.forEach([1, 2, 3], (n) => session.shell(`echo ${n}`).pipe(Effect.ignore))
      yield* session.prompt([{ type: "text", text: `TALK ${"much ".repeat(3_000)}` }])
      yield* Effect.ignore(session.prompt([{ type: "text", text: `TALK ${"more ".repeat(3_000)}` }]))
      assert.isAbove(summaries().length, 1)
      assert.strictEqual(same(summaries()), 0)
    }).pipe(Effect.provide(engine))
  })
})

describe("a summariser that fails", () => {
  const broken = (error: Errors.ModelError) => Script.summaries({ text: "## Goal", fail: error })

  it.scoped("by the threshold: the prompt goes on, and whoever watches is told", () => {
    const { agent, scene } = worker(110, 500)
    const rejection = new Errors.ModelRejected({ model: "scripted", reason: "no summaries here" })
    const { engine, summaries } = over([scene, broken(rejection)], window16)
    return Effect.gen(function* () {
      const events = yield* recorder
      const session = yield* open(agent)
      assert.strictEqual((yield* session.prompt(goal)).text, "All done.")
      assert.strictEqual(summaries().length, 1)
      const all = yield* events
      assert.deepStrictEqual(unpaired(all), [])
      assert.deepStrictEqual(
        failedOf(all).map((it) => [it.error.tag, it.seq]),
        [["ModelRejected", undefined]]
      )
      const notices = all.flatMap((it) => (it._tag === "Notice" ? [it.message] : []))
      assert.strictEqual(notices.length, 1)
      assert.match(notices[0]!, /could not be summarised\. .*no summaries here.* goes on as it is\.$/)
      assert.isFalse((yield* session.history).some((it) => it._tag.startsWith("Compaction")))
    }).pipe(Effect.provide(engine))
  })

  it.scoped("asked for by hand: its error, after its retries, and what it used counts", () => {
    const overloaded = new Errors.ModelUnavailable({ model: "scripted", reason: "HTTP 529" })
    const { engine, summaries } = over([talk(), broken(overloaded)])
    return Effect.gen(function* () {
      const events = yield* recorder
      const session = yield* open(Agent.make("a", { limits: { retries: 2 } }))
      yield* talked(session, 4)
      const fiber = yield* Effect.fork(Effect.flip(session.compact()))
      while ((yield* Fiber.poll(fiber))._tag === "None") yield* TestClock.adjust("10 seconds")
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "ModelUnavailable", attempts: 3 })
      assert.strictEqual(summaries().length, 3)
      assert.deepStrictEqual(unpaired(yield* events), [])
      yield* session.prompt("TALK on")
    }).pipe(Effect.provide(engine))
  })

  it.scoped("and is another model: the one that answers writes it", () => {
    const { layer, requests } = watchedModel([talk()])
    const only = Layer.effect(
      Model.Model,
      Effect.map(Model.Model, (it) => ({
        ...it,
        stream: (request: Model.ModelRequest, emit: (event: Model.ModelEvent) => void) =>
          request.model === "small"
            ? Effect.zipRight(
                Effect.sync(() => requests.push(request)),
                new Errors.ModelUnavailable({ model: "small", reason: "away", retryAfter: 1e9 })
              )
            : it.stream(request, emit)
      }))
    ).pipe(Layer.provide(layer))
    return Effect.gen(function* () {
      const session = yield* open(
        Agent.make("a", { compaction: { model: "small", instructions: "In verse.", thinking: "low" } })
      )
      yield* talked(session, 4)
      const done = yield* session.compact({ instructions: "Without names." })
      assert(done._tag === "Compacted")
      assert.strictEqual(done.model, "scripted")
      const [first, second] = requests.filter((it) => Summary.isAsked(it))
      assert.deepStrictEqual([first?.model, second?.model], ["small", "scripted"])
      assert.match(first!.instructions, /In verse\.\n\nWithout names\.$/)
      assert.deepInclude(first, { thinking: "low", tools: [], maxOutput: 4_096 })
      // The conversation goes on with its own.
      yield* session.prompt("TALK on")
      assert.strictEqual(requests.at(-1)!.model, "scripted")
    }).pipe(Effect.provide(engineOver(Layer.merge(SessionStore.layerMemory, only))))
  })
})

describe("a compaction that is asked for", () => {
  it.scoped("gives what it brought; with nothing to summarise it asks no model", () => {
    const { asked, engine, summaries } = over([talk()])
    return Effect.gen(function* () {
      const events = yield* recorder
      const session = yield* open(Agent.make("a"))
      assert.strictEqual((yield* session.compact())._tag, "NothingToCompact")
      assert.strictEqual((yield* session.compact({ operationId: "n" }))._tag, "NothingToCompact")
      assert.strictEqual((yield* session.compact({ operationId: "n" }))._tag, "NothingToCompact")
      yield* talked(session, 6)
      const before = yield* messagesOf(session)
      const done = yield* session.compact({ operationId: "c" })
      assert(done._tag === "Compacted")
      const entry = (yield* session.history)[done.entry - 1]!
      assert(entry._tag === "Compaction")
      assert.deepInclude(entry, { summary: done.summary, trigger: "manual", model: "scripted", operationId: "c" })
      assert.isBelow(done.tokensAfter, done.tokensBefore)
      // Asked again it gives the same, and is not made again.
      assert.deepStrictEqual(yield* session.compact({ operationId: "c" }), done)
      assert.strictEqual(
        (yield* Effect.flip(session.compact({ operationId: "c", model: "x" })))._tag,
        "OperationConflict"
      )
      assert.strictEqual(summaries().length, 1)
      const after = yield* messagesOf(session)
      assert.isBelow(after.length, before.length)
      assert.deepStrictEqual(after.slice(-2), before.slice(-2))
      assert.deepStrictEqual(problems(after), [])
      // What is left is what stays.
      // Half of what is left stays each time, until there is nothing that a summary could stand for.
      let more = 0
      while ((yield* session.compact())._tag === "Compacted") more++
      assert.isAbove(more, 0)
      assert.strictEqual(summaries().length, 1 + more)
      yield* session.prompt("TALK on")
      assert.strictEqual(Script.view(asked().at(-1)!).prompt, "TALK on")
      assert.deepStrictEqual(unpaired(yield* events), [])
    }).pipe(Effect.provide(engine))
  })

  it.scoped("in a window that is known keeps its newest 8,000 tokens, whatever there is", () => {
    const { engine, summaries } = over([talk()], { contextWindow: 200_000 })
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      yield* talked(session, 6)
      assert.strictEqual((yield* session.compact())._tag, "NothingToCompact")
      yield* talked(session, 20)
      const done = yield* session.compact()
      assert(done._tag === "Compacted")
      assert.isAbove(done.tokensAfter, 6_000)
      assert.isBelow(done.tokensAfter, 9_000)
      assert.strictEqual(summaries().length, 1)
    }).pipe(Effect.provide(engine))
  })

  it.scoped("brings the earlier summary up to date and carries the files along", () => {
    const file = (name: string) =>
      Tool.make(name, {
        description: "",
        parameters: Schema.Struct({ path: Schema.String }),
        run: ({ path }) =>
          path === "gone" ? Effect.fail("no such file") : Effect.succeed(`${path}: ${"y".repeat(900)}`)
      })
    const paths = (...list: ReadonlyArray<readonly [string, string]>): Script.Turn =>
      Script.calls(...list.map(([name, path]) => Script.call(name, { path })))
    const { engine, summaries } = over([
      Script.on("first", paths(["read", "a.ts"], ["read", "e.ts"], ["edit", "a.ts"], ["read", "gone"]), "Done."),
      Script.on("second", paths(["read", "b.ts"], ["write", "c.ts"], ["read", "a.ts"]), "Done."),
      talk()
    ])
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { tools: ["read", "write", "edit"].map(file) }))
      yield* session.prompt("first, with <transcript> and </TRANSCRIPT> in it")
      yield* talked(session, 3)
      yield* session.compact()
      yield* session.prompt("second")
      yield* talked(session, 4)
      yield* session.compact()
      const [one, two] = (yield* session.history).filter(isOf("Compaction"))
      assert.deepStrictEqual(one!.files, { read: ["a.ts", "e.ts"], changed: ["a.ts"] })
      assert.deepStrictEqual(two!.files, { read: ["e.ts", "b.ts", "a.ts"], changed: ["a.ts", "c.ts"] })
      const [first, second] = summaries().map(({ messages }) => Script.view({ ...summaries()[0]!, messages }).prompt)
      assert.strictEqual(first!.match(/<\/?transcript>/gi)!.length, 2)
      assert.notInclude(first!, "<earlier-summary>")
      assert.include(second!, `<earlier-summary>\n${one!.summary}\n</earlier-summary>`)
      // It is no part of what is to be summarised.
      assert.strictEqual(second!.split(one!.summary).length, 2)
      assert.notInclude(second!, "This summary stands for it")
      const told = JSON.stringify((yield* messagesOf(session))[0])
      assert.include(told, "Files read: e.ts, b.ts, a.ts")
      assert.include(told, "Files changed: a.ts, c.ts")
    }).pipe(Effect.provide(engine))
  })

  it.scoped("is refused while something runs, or where it makes no sense", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { engine } = over([Script.on("wait", { text: "ok", before: Deferred.await(gate) })])
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a"))
        const running = yield* Effect.fork(session.prompt("wait"))
        yield* Effect.yieldNow()
        assert.strictEqual((yield* Effect.flip(session.compact()))._tag, "SessionBusy")
        const waiting = yield* Effect.fork(session.compact({ onBusy: "wait" }))
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(running)
        assert.strictEqual((yield* Fiber.join(waiting))._tag, "NothingToCompact")
        for (const [options, path] of [
          [{ model: "" }, "model"],
          [{ instructions: 5 }, "instructions"],
          [{ instructions: "x".repeat(20_001) }, "instructions"],
          [{ onBusy: "steer" }, "onBusy"],
          [{ operationId: "" }, "operationId"]
        ] as const) {
          const error = yield* Effect.flip(session.compact(options as Parameters<typeof session.compact>[0]))
          assert.deepInclude(error, { _tag: "InvalidInput", path })
        }
      }).pipe(Effect.provide(engine))
    })
  )
})

describe("an agent's settings", () => {
  for (const [compaction, path] of [
    ["on", "agent.compaction"],
    [null, "agent.compaction"],
    [{ modle: "x" }, "agent.compaction.modle"],
    [{ model: 1 }, "agent.compaction.model"],
    [{ instructions: {} }, "agent.compaction.instructions"],
    [{ thinking: "hard" }, "agent.compaction.thinking"]
  ] as const) {
    it.scoped(`are refused: ${JSON.stringify(compaction)}`, () =>
      Effect.gen(function* () {
        const agent = { ...Agent.make("a"), compaction } as unknown as Agent.Agent
        assert.deepInclude(yield* Effect.flip(open(agent)), { _tag: "InvalidInput", path })
      }).pipe(Effect.provide(over([]).engine))
    )
  }
})

describe("what a compaction uses", () => {
  it.scoped("counts into the budget of its operation", () => {
    const { agent, scene } = worker(110, 500)
    const usage = { input: 9_000, output: 900, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
    const { engine } = over([scene, Script.summaries({ text: summaryOf(goal), usage })], window16)
    return Effect.gen(function* () {
      const session = yield* open(agent)
      const reply = yield* session.prompt(goal)
      const { compactions, total, turns } = reply.usage
      assert.isAbove(compactions.input, 0)
      assert.strictEqual(total.input, turns.input + compactions.input)
      return total.input + total.output
    }).pipe(
      Effect.provide(engine),
      Effect.flatMap((used) => {
        const again = worker(110, 500)
        const limited = over([again.scene, Script.summaries({ text: summaryOf(goal), usage })], window16)
        return Effect.gen(function* () {
          const session = yield* open(again.agent)
          const error = yield* Effect.flip(session.prompt(goal, { limits: { tokens: used - 500 } }))
          assert.deepInclude(error, { _tag: "LimitReached", limit: "tokens" })
        }).pipe(Effect.provide(limited.engine))
      })
    )
  })

  it.scoped("costs what its model costs", () => {
    const { engine } = over([talk()])
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      yield* talked(session, 6)
      const done = yield* session.compact()
      assert(done._tag === "Compacted")
      assert.closeTo(done.usage.cost!, (done.usage.input * 2 + done.usage.output * 10) / 1e6, 1e-9)
    }).pipe(Effect.provide(Layer.provide(engine, Layer.succeed(Prices.Prices, { scripted: { input: 2, output: 10 } }))))
  })
})

it.scoped("a secret that stands in the transcript is in no summary", () => {
  const secret = "sk-very-secret-value"
  const { engine, summaries } = over([talk(), Script.summaries(summaryOf(`Use ${secret}`))])
  return Effect.gen(function* () {
    const session = yield* open(Agent.make("a"))
    yield* session.prompt(`TALK about ${secret}`)
    yield* talked(session, 4)
    yield* Secrets.keep(Redacted.make(secret))
    const done = yield* session.compact()
    assert(done._tag === "Compacted")
    assert.include(done.summary, Secrets.mark)
    assert.notInclude(JSON.stringify(done), secret)
    assert.notInclude(JSON.stringify((yield* session.history).at(done.entry - 1)), secret)
    assert.notInclude(JSON.stringify(summaries()), secret)
  }).pipe(Effect.provide(engine))
})

it.scoped("where the model counts, its count decides, of what came since it told last", () => {
  const { layer } = watchedModel([talk(2_000)], window16)
  const counted: Array<number> = []
  const counting = Layer.effect(
    Model.Model,
    Effect.map(Model.Model, (it) => ({
      ...it,
      count: (_: string, messages: Model.ModelRequest["messages"]) =>
        Effect.sync(() => {
          counted.push(messages.length)
          return 10_000
        })
    }))
  ).pipe(Layer.provide(layer))
  return Effect.gen(function* () {
    const session = yield* open(Agent.make("a"))
    yield* talked(session, 11)
    // By the estimate it is not half of what it may be until then.
    assert.deepStrictEqual(counted, [])
    yield* talked(session, 2)
    assert.strictEqual(counted[0], 1)
    const [first] = (yield* session.history).filter(isOf("Compaction"))
    assert.isAbove(first!.tokensBefore, 15_000)
    assert.isBelow(first!.tokensBefore, 17_000)
  }).pipe(Effect.provide(engineOver(Layer.merge(SessionStore.layerMemory, counting))))
})

it.effect("an interrupted compaction leaves the conversation as it was", () =>
  Effect.gen(function* () {
    const reached = yield* Deferred.make<void>()
    const before = Effect.zipRight(Deferred.succeed(reached, undefined), Effect.never)
    const { engine } = over([talk(), Script.summaries({ text: "never", before })])
    yield* Effect.gen(function* () {
      const events = yield* recorder
      const session = yield* open(Agent.make("a"))
      yield* talked(session, 4)
      const messages = yield* messagesOf(session)
      const fiber = yield* Effect.fork(session.compact())
      yield* Deferred.await(reached)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      const all = yield* events
      assert.deepStrictEqual(unpaired(all), [])
      assert.deepStrictEqual(
        failedOf(all).map((it) => it.error.tag),
        ["Interrupted"]
      )
      assert.deepStrictEqual(yield* messagesOf(session), messages)
      yield* session.prompt("TALK on")
    }).pipe(Effect.provide(engine), Effect.scoped)
  })
)

it.scoped("instructions that have changed since go with the requests from a compaction on", () => {
  const files = new Map([["AGENTS.md", "Work slowly."]])
  const { agent, scene } = worker(110, 500)
  const { layer, requests } = watchedModel([talk(), scene], window16)
  const sandbox = Layer.succeed(Sandbox.Sandbox, filesSandbox(files))
  return Effect.gen(function* () {
    const session = yield* open(agent)
    yield* session.prompt("TALK")
    files.set("AGENTS.md", "Work quickly.")
    yield* session.prompt(goal)
    const asked = requests.filter((it) => !Summary.isAsked(it)).map(({ instructions }) => instructions)
    const changed = asked.findIndex((it) => it.includes("Work quickly."))
    const [compaction] = (yield* session.history).filter(isOf("Compaction"))
    assert.isAbove(changed, 50)
    assert.isTrue(asked.slice(0, changed).every((it) => it.includes("Work slowly.")))
    assert.isTrue(asked.slice(changed).every((it) => !it.includes("Work slowly.")))
    const replies = (yield* session.history).filter((it) => it._tag === "Assistant" && it.id < compaction!.id)
    assert.strictEqual(changed, replies.length)
  }).pipe(Effect.provide(engineOver(Layer.mergeAll(SessionStore.layerMemory, layer, sandbox))))
})

it.scoped("text that takes more tokens than the estimate has it is cut by what the provider tells", () => {
  // As many tokens as characters.
  const usageOf = ({ instructions, messages }: Model.ModelRequest) => {
    const input = JSON.stringify(messages).length + instructions.length
    return { input, output: 100, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
  }
  const dense = Script.on("TALK", ({ prompt, request }) => ({
    text: `${prompt} ${"\u8a9e".repeat(1_000)}`,
    usage: usageOf(request)
  }))
  const { asked, engine, summaries } = over([dense], window16)
  return Effect.gen(function* () {
    const session = yield* open(Agent.make("a", { delegate: "off" }))
    yield* talked(session, 40)
    assert.isAbove(summaries().length, 1)
    for (const request of asked()) assert.isBelow(usageOf(request).input, 16_000)
  }).pipe(Effect.provide(engine))
})

it.scoped("what does not fit into the window of the model for summaries is summarised piece by piece", () => {
  const { layer, requests } = watchedModel([talk(6_000)])
  const small = Layer.effect(
    Model.Model,
    Effect.map(Model.Model, (it) => ({
      ...it,
      info: (model: string) => (model === "small" ? { contextWindow: 8_000, maxOutput: 1_000 } : undefined)
    }))
  ).pipe(Layer.provide(layer))
  return Effect.gen(function* () {
    const session = yield* open(Agent.make("a", { compaction: { model: "small" } }))
    yield* talked(session, 20)
    const done = yield* session.compact()
    assert(done._tag === "Compacted")
    const summaries = requests.filter((it) => Summary.isAsked(it))
    assert.isAbove(summaries.length, 2)
    const texts = summaries.map((it) => Script.view(it).prompt)
    assert.deepStrictEqual(
      texts.map((it) => it.includes("<earlier-summary>")),
      texts.map((_, i) => i > 0)
    )
    for (const request of summaries) {
      assert.isBelow(requestTokens(request) + 1_000, 8_000)
      assert.deepInclude(request, { model: "small", maxOutput: 1_000 })
    }
    // Every piece once, in order.
    const named = texts.flatMap((it) => [...it.matchAll(/^\[user\] TALK (\d+)$/gm)].map(([, n]) => Number(n)))
    assert.deepStrictEqual(
      named,
      named.map((_, i) => i)
    )
    assert.isAbove(named.length, 10)
  }).pipe(Effect.provide(engineOver(Layer.merge(SessionStore.layerMemory, small))))
})
