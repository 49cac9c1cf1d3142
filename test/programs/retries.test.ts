/**
 * A model that fails is asked again, for as long as that may help, and then another one is.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option, TestClock } from "effect"
import { Agent, Errors, type Event, Model, SessionStore } from "effect-baton"
import { echo, engineOver, messagesOf, open, recorder } from "../support/engine.js"
import { problems } from "../support/validMessages.js"

/** Advances virtual time until a fiber has ended. */
const passing = <A, E>(fiber: Fiber.RuntimeFiber<A, E>): Effect.Effect<A, E> =>
  Effect.gen(function* () {
    while (Option.isNone(yield* Fiber.poll(fiber))) yield* TestClock.adjust("10 seconds")
    return yield* Fiber.join(fiber)
  })

const transient = (retryAfter?: number) =>
  new Errors.ModelUnavailable({ model: "m", reason: "HTTP 529, overloaded", retryAfter })

const usage = { input: 10, output: 1, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
const finish: Model.ModelFinish = { reason: "stop", usage }

type Answer = (
  request: Model.ModelRequest,
  emit: (event: Model.ModelEvent) => void
) => Effect.Effect<Model.ModelFinish, Errors.ModelError>

const fails =
  (error: Errors.ModelError, text = "half a repl"): Answer =>
  (_, emit) =>
    Effect.suspend(() => {
      emit({ _tag: "TextDelta", text })
      emit({ _tag: "UsageSoFar", usage: { input: 7, output: 2, cacheRead: 0, cacheWrite: 0, reasoning: 0 } })
      return Effect.fail(error)
    })

const says =
  (text: string): Answer =>
  (_, emit) =>
    Effect.sync(() => {
      if (text !== "") emit({ _tag: "TextDelta", text })
      return finish
    })

const calls =
  (id: string): Answer =>
  (_, emit) =>
    Effect.sync(() => {
      emit({ _tag: "ToolCall", id, name: "echo", args: { text: id } })
      return { ...finish, reason: "tool-calls" }
    })

const tooOften: Answer = () => Effect.dieMessage("asked too often")

/** A model that gives the answers in turn, and the requests that it got. */
const modelOf = (answers: ReadonlyArray<Answer>, more: Partial<Model.Model["Type"]> = {}) => {
  const requests: Array<Model.ModelRequest> = []
  const layer = Layer.succeed(Model.Model, {
    defaultModel: "m",
    ...more,
    stream: (request, emit) => {
      requests.push(request)
      return (answers[requests.length - 1] ?? tooOften)(request, emit)
    }
  } as Model.Model["Type"])
  return { requests, engine: engineOver(Layer.merge(SessionStore.layerMemory, layer)) }
}

const agent = Agent.make("a", { tools: [echo] })

describe("retries", () => {
  it.effect("F F S F F S with a budget of three in a row succeeds, and failed attempts are in no request", () => {
    const { engine, requests } = modelOf([
      fails(transient()),
      fails(transient()),
      calls("1"),
      fails(transient()),
      fails(transient()),
      says("done")
    ])
    return Effect.gen(function* () {
      const session = yield* open(agent)
      const reply = yield* passing(yield* Effect.fork(session.prompt("go", { limits: { retries: 3 } })))
      assert.strictEqual(reply.text, "done")
      assert.strictEqual(requests.length, 6)
      for (const { messages } of requests) {
        assert.deepStrictEqual(problems(messages), [])
        assert.notInclude(JSON.stringify(messages), "half a repl")
      }
      assert.deepStrictEqual(requests[0]!.messages, requests[2]!.messages)
      assert.deepStrictEqual(requests[3]!.messages, requests[5]!.messages)
      assert.deepInclude(reply.usage.turns, { input: 20, output: 2 })
      assert.deepInclude(reply.usage.retries, { input: 28, output: 8 })
      assert.deepInclude(reply.usage.total, { input: 48, output: 10 })
      assert.notInclude(JSON.stringify(yield* session.history), "half a repl")
    }).pipe(Effect.provide(engine))
  })

  it.effect("F F F F fails after three retries, and says how often it was tried", () => {
    const { engine, requests } = modelOf([1, 2, 3, 4].map(() => fails(transient())))
    return Effect.gen(function* () {
      const session = yield* open(agent)
      const error = yield* passing(yield* Effect.fork(Effect.flip(session.prompt("go"))))
      assert.strictEqual(requests.length, 4)
      assert.deepInclude(error, { _tag: "ModelUnavailable", attempts: 4 })
      assert.strictEqual(error.message, 'The model "m" is not available: HTTP 529, overloaded (4 attempts).')
    }).pipe(Effect.provide(engine))
  })

  for (const error of [
    new Errors.ModelRejected({ model: "m", reason: "no", status: 400 }),
    new Errors.ContextOverflow({ model: "m", reason: "too long" }),
    new Errors.ModelNotConfigured({ model: "m" })
  ]) {
    it.effect(`a permanent error never retries, nor asks another model: ${error._tag}`, () => {
      const { engine, requests } = modelOf([fails(error)], { fallbacks: ["other"] })
      return Effect.gen(function* () {
        const session = yield* open(agent)
        assert.strictEqual((yield* Effect.flip(session.prompt("go")))._tag, error._tag)
        assert.strictEqual(requests.length, 1)
      }).pipe(Effect.provide(engine))
    })
  }

  it.effect(
    "waits twice as long each time, a quarter more or less; as long as the provider asks, up to a minute",
    () => {
      const { engine } = modelOf([
        fails(transient()),
        fails(transient()),
        fails(transient(17_000)),
        calls("1"),
        fails(transient(60_001))
      ])
      return Effect.scoped(
        Effect.gen(function* () {
          const events = yield* recorder
          const session = yield* open(agent)
          const error = yield* passing(yield* Effect.fork(Effect.flip(session.prompt("go"))))
          const retries = (yield* events).filter((event): event is Event.ModelRetry => event._tag === "ModelRetry")
          assert.deepStrictEqual(
            retries.map(({ attempt, next, turn }) => [turn, attempt, next]),
            [
              [1, 1, "m"],
              [1, 2, "m"],
              [1, 3, "m"]
            ]
          )
          const [first, second, third] = retries.map(({ delay }) => delay)
          assert.isTrue(first! >= 750 && first! <= 1_250, String(first))
          assert.isTrue(second! >= 1_500 && second! <= 2_500, String(second))
          assert.strictEqual(third, 17_000)
          // Longer than is waited for: it fails at once, with the time.
          assert.strictEqual(error.message, 'The model "m" is not available: HTTP 529, overloaded, retry after 61 s.')
        })
      ).pipe(Effect.provide(engine))
    }
  )

  it.effect("then the fallback models are tried in turn, and the operation keeps to the one that answers", () => {
    const { engine, requests } = modelOf(
      [fails(transient()), fails(transient()), fails(transient(120_000)), calls("1"), says("done")],
      { fallbacks: ["m", "second", "third"] }
    )
    return Effect.gen(function* () {
      const session = yield* open(agent)
      const reply = yield* passing(yield* Effect.fork(session.prompt("go", { limits: { retries: 1 } })))
      assert.deepStrictEqual(
        requests.map(({ model }) => model),
        ["m", "m", "second", "third", "third"]
      )
      assert.strictEqual(reply.model, "third")
    }).pipe(Effect.provide(engine))
  })

  it.effect("each fallback model has all its attempts", () => {
    const { engine, requests } = modelOf(
      [fails(transient()), fails(transient()), fails(transient()), fails(transient()), says("never asked for")],
      { fallbacks: ["m", "second"] }
    )
    return Effect.gen(function* () {
      const session = yield* open(agent)
      const error = yield* passing(yield* Effect.fork(Effect.flip(session.prompt("go", { limits: { retries: 1 } }))))
      assert.deepStrictEqual(
        requests.map(({ model }) => model),
        ["m", "m", "second", "second"]
      )
      assert.deepInclude(error, { _tag: "ModelUnavailable", attempts: 2 })
    }).pipe(Effect.provide(engine))
  })

  it.effect("an empty reply is asked for once more, then it is the reply", () => {
    const { engine, requests } = modelOf([says(""), says(" \n"), says("never asked for")])
    return Effect.gen(function* () {
      const session = yield* open(agent)
      const reply = yield* passing(yield* Effect.fork(session.prompt("go")))
      assert.strictEqual(reply.text.trim(), "")
      assert.strictEqual(requests.length, 2)
      assert.deepInclude(reply.usage, { turns: usage, retries: usage })
      assert.deepStrictEqual(problems(yield* messagesOf(session)), [])
    }).pipe(Effect.provide(engine))
  })

  it.effect("a pause that says nothing is such a reply: it would be followed by the same request", () => {
    const pauses: Answer = (_, emit) =>
      Effect.sync(() => {
        emit({ _tag: "ReasoningDelta", text: "hm" })
        return { ...finish, reason: "pause" }
      })
    const { engine, requests } = modelOf([pauses, pauses])
    return Effect.gen(function* () {
      const session = yield* open(agent)
      const reply = yield* passing(yield* Effect.fork(session.prompt("go")))
      assert.deepStrictEqual([reply.text, reply.finish, requests.length], ["", "pause", 2])
    }).pipe(Effect.provide(engine))
  })

  it.effect("a model that says nothing for five minutes is given up and asked again; one that speaks is not", () => {
    const interrupted: Array<number> = []
    const silent: Answer = () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted.push(1)))
    const slow: Answer = (_, emit) =>
      Effect.as(
        Effect.forEach([1, 2, 3], (n) =>
          Effect.zipRight(
            Effect.sleep("4 minutes"),
            Effect.sync(() => emit({ _tag: "TextDelta", text: String(n) }))
          )
        ),
        finish
      )
    const { engine, requests } = modelOf([silent, slow])
    return Effect.gen(function* () {
      const session = yield* open(agent)
      const running = yield* Effect.fork(session.prompt("go", { limits: { retryDelay: 0 } }))
      yield* TestClock.adjust("299 seconds")
      assert.strictEqual(requests.length, 1)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(requests.length, 2)
      assert.strictEqual(interrupted.length, 1)
      yield* TestClock.adjust("12 minutes")
      assert.strictEqual((yield* Fiber.join(running)).text, "123")
    }).pipe(Effect.provide(engine))
  })

  it.effect("a model that interrupts itself has failed, and its operation was interrupted by nobody", () => {
    const { engine, requests } = modelOf([() => Effect.zipRight(Effect.yieldNow(), Effect.interrupt), says("done")])
    return Effect.gen(function* () {
      const events = yield* recorder
      const session = yield* open(agent)
      assert.strictEqual((yield* passing(yield* Effect.fork(session.prompt("go")))).text, "done")
      assert.strictEqual(requests.length, 2)
      const retry = (yield* events).find((event) => event._tag === "ModelRetry")
      assert.include(JSON.stringify(retry), "the request was interrupted from within")
    }).pipe(Effect.scoped, Effect.provide(engine))
  })

  it.effect("a model that cannot be interrupted holds nobody up", () => {
    const deaf: Answer = () => Effect.uninterruptible(Effect.never)
    const { engine, requests } = modelOf([deaf, says("done"), deaf, says("next")])
    return Effect.gen(function* () {
      const session = yield* open(agent)
      const running = yield* Effect.fork(session.prompt("go", { limits: { retryDelay: 0 } }))
      yield* TestClock.adjust("304 seconds")
      assert.strictEqual(requests.length, 1)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.join(running)).text, "done")
      const cut = yield* Effect.fork(session.prompt("again"))
      yield* Effect.yieldNow()
      const stopping = yield* Effect.fork(Fiber.interrupt(cut))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(stopping)
      assert.strictEqual((yield* session.prompt("next")).text, "next")
    }).pipe(Effect.provide(engine))
  })

  it.effect("what a model says that was given up is not heard", () => {
    const late: Array<Parameters<Answer>[1]> = []
    const deaf: Answer = (_, emit) => {
      late.push(emit)
      return Effect.uninterruptible(Effect.never)
    }
    const { engine } = modelOf([deaf, says("done")])
    return Effect.scoped(
      Effect.gen(function* () {
        const events = yield* recorder
        const session = yield* open(agent)
        const running = yield* Effect.fork(session.prompt("go", { limits: { retryDelay: 0 } }))
        yield* TestClock.adjust("305 seconds")
        const before = yield* Fiber.join(running)
        late[0]!({ _tag: "TextDelta", text: "late" })
        late[0]!({ _tag: "Notice", message: "late" })
        assert.strictEqual(before.text, "done")
        assert.notInclude(JSON.stringify(yield* events), "late")
      })
    ).pipe(Effect.provide(engine))
  })

  it.effect("what an interrupted attempt had used is counted once", () => {
    const half =
      (text: string): Answer =>
      (_, emit) =>
        Effect.suspend(() => {
          emit({ _tag: "TextDelta", text })
          emit({ _tag: "UsageSoFar", usage: { input: 7, output: 2, cacheRead: 0, cacheWrite: 0, reasoning: 0 } })
          return Effect.never
        })
    const { engine } = modelOf([half("so far"), half("")])
    return Effect.gen(function* () {
      const session = yield* open(agent)
      for (const _ of [1, 2]) {
        const running = yield* Effect.fork(session.prompt("go"))
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(running)
      }
      const entries = yield* session.history
      const ends = entries.flatMap((it) => (it._tag === "OperationSettled" ? [it.usage] : []))
      assert.deepInclude(ends[0]!.turns, { input: 7, output: 2 })
      assert.deepInclude(ends[1]!.retries, { input: 7, output: 2 })
      const replies = entries.flatMap((it) => (it._tag === "Assistant" ? [it.usage.input] : []))
      assert.deepStrictEqual(replies, [7])
    }).pipe(Effect.provide(engine))
  })
})

describe("usage", () => {
  it.effect("of a model with a bug is counted as far as it was told", () => {
    const { engine } = modelOf([
      (_, emit) =>
        Effect.suspend(() => {
          emit({ _tag: "TextDelta", text: "half" })
          emit({ _tag: "UsageSoFar", usage })
          return Effect.dieMessage("a bug")
        })
    ])
    return Effect.gen(function* () {
      const session = yield* open(agent)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(session.prompt("go"))))
      const history = yield* session.history
      const end = history.at(-1)
      assert.deepInclude(end, { _tag: "OperationSettled", outcome: "failed" })
      assert.deepInclude(end?._tag === "OperationSettled" ? end.usage.retries : {}, { input: 10, output: 1 })
      assert.notInclude(JSON.stringify(history), "half")
    }).pipe(Effect.provide(engine))
  })

  it.effect("that is missing is estimated, and that cannot be is cut; both are flagged", () => {
    const odd =
      (usage: Model.ModelFinish["usage"], reason: "pause" | "stop" = "pause"): Answer =>
      (_, emit) =>
        Effect.sync(() => {
          emit({ _tag: "TextDelta", text: "twelve chars" })
          return { reason, usage }
        })
    const none = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
    const { engine } = modelOf(
      [
        odd(undefined),
        odd({ ...none, input: -5, output: Number.NaN }),
        odd({ ...none, input: 1e12, output: 3 }),
        odd({ ...none, input: 20, output: 3 }, "stop")
      ],
      { info: () => ({ contextWindow: 1_000 }) }
    )
    return Effect.scoped(
      Effect.gen(function* () {
        const events = yield* recorder
        const session = yield* open(Agent.make("a", { delegate: "off" }))
        yield* session.prompt("abcd")
        const replies = (yield* session.history).flatMap((it) => (it._tag === "Assistant" ? [it] : []))
        assert.deepStrictEqual(
          replies.map(({ usage: { input, output }, usageReported }) => [input, output, usageReported]),
          [
            [9, 3, false],
            [0, 0, false],
            [2_000, 3, false],
            [20, 3, true]
          ]
        )
        assert.strictEqual((yield* events).filter(({ _tag }) => _tag === "Notice").length, 2)
      })
    ).pipe(Effect.provide(engine))
  })
})
