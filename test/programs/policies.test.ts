/**
 * What a prompt does when its session is held: each policy on whatever may hold it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Schema, TestClock } from "effect"
import {
  Agent,
  Conversation,
  Engine,
  type Entry,
  Errors,
  Model,
  Sandbox,
  Script,
  Session,
  Sessions,
  SessionStore,
  Tool
} from "effect-baton"
import { makeInbox } from "../../src/layers/Inbox.js"
import type { Input } from "../../src/services/Inbox.js"
import { open } from "../support/engine.js"
import { begin, type Gate, gate, linesOf, type openEngine, type Play, settle, stage } from "../support/stage.js"
import { problems } from "../support/validMessages.js"
import { emptySandbox } from "../support/emptySandbox.js"

const plain = Agent.make("a", { delegate: "off" })

const operate = (session: Sessions.Session, kind: "shell" | "task"): Effect.Effect<unknown, unknown> =>
  kind === "shell" ? session.shell("true") : session.task("sub")

/** A tool that waits at a gate. */
const waiter = (at: Gate) => Tool.make("work", { description: "Works", run: () => Effect.as(at.stop, "worked") })

const ids = (entries: ReadonlyArray<Entry.Entry>, tag: Entry.Entry["_tag"]) =>
  entries.flatMap((entry) => (entry._tag === tag ? [entry.operationId] : []))

/** The texts that were put in, with the kind of end that their operations came to. */
const told = (entries: ReadonlyArray<Entry.Entry>) =>
  entries.flatMap((entry) => {
    if (entry._tag === "User") return [entry.content.map((part) => (part.type === "text" ? part.text : "")).join("|")]
    return entry._tag === "OperationSettled" ? [`(${entry.outcome})`] : []
  })

/** Each history is one that a provider takes, wherever it is cut; each entry follows the one before, or a move. */
const sound = (entries: ReadonlyArray<Entry.Entry>) => {
  for (let n = 0; n <= entries.length; n++) {
    assert.deepStrictEqual(problems(Conversation.fold(entries.slice(0, n))), [])
  }
  for (const [i, entry] of entries.entries()) {
    if (entry._tag !== "HeadMoved") assert.strictEqual(entry.parentId, entries[i - 1]?.id ?? null)
  }
}

/** Nothing is left of a test's calls. */
const clean = ({ inbox, lock }: ReturnType<typeof openEngine>) => {
  assert.deepStrictEqual(inbox.size(), { waiting: 0, readers: 0 })
  assert.strictEqual(lock.size(), 0)
}

describe("on an idle session", () => {
  for (const onBusy of ["reject", "wait", "interrupt", "steer", "followUp", "rollback"] as const) {
    it.effect(`${onBusy} prompts`, () => {
      const on = stage(() => "ok")
      return Effect.gen(function* () {
        const session = yield* open(plain)
        yield* session.prompt("first")
        const reply = yield* session.prompt("hello", { onBusy })
        assert.deepInclude(reply, { _tag: "Reply", text: "ok" })
        assert.deepStrictEqual(on.requests[1], ["user: first", "assistant: ok", "user: hello"])
        sound(yield* session.history)
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  }
})

describe("steer", () => {
  it.effect("joins after the results of the turn and before the next request, in order", () =>
    Effect.gen(function* () {
      const at = yield* gate
      const on = stage((_, n) => (n === 0 ? Script.calls(Script.call("work")) : "done"))
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [waiter(at)], delegate: "off" }))
        const running = yield* begin(session.prompt("go"))
        yield* at.reached
        const steers = yield* Effect.forEach(["one", "two", "three"], (text) =>
          begin(session.prompt(text, { onBusy: "steer" }))
        )
        assert.isTrue(steers.every((fiber) => fiber.unsafePoll() === null))
        yield* at.open
        const [id] = ids(yield* Effect.zipRight(settle, session.history), "OperationStarted")
        for (const fiber of steers) {
          assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Delivered", operationId: id! })
        }
        assert.strictEqual((yield* Fiber.join(running)).text, "done")
        assert.deepStrictEqual(on.requests, [
          ["user: go"],
          ["user: go", "assistant: work()", "tool: worked", "user: one | two | three"]
        ])
        sound(yield* session.history)
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )

  for (const onBusy of ["steer", "followUp"] as const) {
    it.effect(`${onBusy} during the request of the last turn is answered by another turn`, () =>
      Effect.gen(function* () {
        const at = yield* gate
        const on = stage((_, n) => (n === 0 ? { before: at.stop, text: "done" } : "and that"))
        yield* Effect.gen(function* () {
          const session = yield* open(plain)
          const running = yield* begin(session.prompt("go"))
          const joining = yield* begin(session.prompt("more", { onBusy }))
          yield* at.open
          assert.strictEqual((yield* Fiber.join(joining))._tag, "Delivered")
          assert.strictEqual((yield* Fiber.join(running)).text, "and that")
          assert.deepStrictEqual(on.requests[1], ["user: go", "assistant: done", "user: more"])
          assert.deepStrictEqual(told(yield* session.history), ["go", "more", "(completed)"])
          sound(yield* session.history)
          clean(on)
        }).pipe(Effect.provide(on.layer))
      })
    )

    it.effect(`${onBusy} into a prompt that fails is prompted by itself`, () =>
      Effect.gen(function* () {
        const at = yield* gate
        const fail = new Errors.ModelRejected({ model: "m", reason: "no" })
        const on = stage((_, n) => (n === 0 ? { before: at.stop, fail } : "alone"))
        yield* Effect.gen(function* () {
          const session = yield* open(plain)
          const running = yield* begin(session.prompt("go"))
          const joining = yield* begin(session.prompt("more", { onBusy }))
          yield* at.open
          assert.strictEqual((yield* Effect.flip(Fiber.join(running)))._tag, "ModelRejected")
          assert.deepInclude(yield* Fiber.join(joining), { _tag: "Reply", text: "alone" })
          assert.deepStrictEqual(told(yield* session.history), ["go", "(failed)", "more", "(completed)"])
          clean(on)
        }).pipe(Effect.provide(on.layer))
      })
    )

    it.effect(`${onBusy} into a prompt that is interrupted is prompted by itself`, () =>
      Effect.gen(function* () {
        const on = stage((_, n) => (n === 0 ? { before: Effect.never } : "alone"))
        yield* Effect.gen(function* () {
          const session = yield* open(plain)
          const running = yield* begin(session.prompt("go"))
          const joining = yield* begin(session.prompt("more", { onBusy }))
          yield* Fiber.interrupt(running)
          assert.deepInclude(yield* Fiber.join(joining), { _tag: "Reply", text: "alone" })
          assert.deepStrictEqual(told(yield* session.history), ["go", "(interrupted)", "more", "(completed)"])
          clean(on)
        }).pipe(Effect.provide(on.layer))
      })
    )

    it.effect(`${onBusy} that is interrupted before it was delivered is never seen; after, it is`, () =>
      Effect.gen(function* () {
        const at = yield* gate
        const last = yield* gate
        const on = stage((_, n) =>
          n === 0 ? { before: at.stop, text: "done" } : n === 1 ? { before: last.stop, text: "more" } : "over"
        )
        yield* Effect.gen(function* () {
          const session = yield* open(plain)
          const running = yield* begin(session.prompt("go"))
          const gone = yield* begin(session.prompt("never mind", { onBusy }))
          const heard = yield* begin(session.prompt("mind", { onBusy }))
          assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(gone)))
          yield* at.open
          yield* last.reached
          yield* settle
          assert.deepInclude(yield* Fiber.interrupt(heard), { _tag: "Success" })
          yield* last.open
          assert.strictEqual((yield* Fiber.join(running)).text, "more")
          assert.deepStrictEqual(told(yield* session.history), ["go", "mind", "(completed)"])
          assert.notInclude(JSON.stringify(on.requests), "never mind")
          clean(on)
        }).pipe(Effect.provide(on.layer))
      })
    )

    it.effect(
      `${onBusy} into a prompt that has no turn left is prompted by itself, and does not make that one fail`,
      () =>
        Effect.gen(function* () {
          const at = yield* gate
          const on = stage((_, n) => (n === 0 ? { before: at.stop, text: "done" } : "alone"))
          yield* Effect.gen(function* () {
            const session = yield* open(plain)
            const running = yield* begin(session.prompt("go", { limits: { turns: 1 } }))
            const joining = yield* begin(session.prompt("more", { onBusy }))
            yield* at.open
            assert.strictEqual((yield* Fiber.join(running)).text, "done")
            assert.deepInclude(yield* Fiber.join(joining), { _tag: "Reply", text: "alone" })
            clean(on)
          }).pipe(Effect.provide(on.layer))
        })
    )

    it.effect(`${onBusy} on a running shell and on a running task is prompted by itself afterwards`, () =>
      Effect.gen(function* () {
        for (const kind of ["shell", "task"] as const) {
          const at = yield* gate
          const on = stage((lines) => (lines[0] === "user: sub" ? { before: at.stop, text: "child" } : "alone"))
          const exec = () => Effect.as(at.stop, { stdout: "", stderr: "", exitCode: 0 })
          const sandbox = Layer.succeed(Sandbox.Sandbox, emptySandbox(exec))
          yield* Effect.gen(function* () {
            const session = yield* open(Agent.make("a"))
            const running = yield* begin(operate(session, kind))
            yield* at.reached
            const joining = yield* begin(session.prompt("more", { onBusy }))
            assert.isNull(joining.unsafePoll())
            yield* at.open
            yield* Fiber.join(running)
            assert.deepInclude(yield* Fiber.join(joining), { _tag: "Reply", text: "alone" })
            clean(on)
          }).pipe(Effect.provide(Layer.provideMerge(on.layer, sandbox)))
        }
      })
    )
  }

  it.effect("steer during the calls of the last turn there may be is prompted by itself", () =>
    Effect.gen(function* () {
      const at = yield* gate
      const on = stage((_, n) => (n === 0 ? Script.calls(Script.call("work")) : "alone"))
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [waiter(at)], delegate: "off" }))
        const running = yield* begin(Effect.flip(session.prompt("go", { limits: { turns: 1 } })))
        yield* at.reached
        const joining = yield* begin(session.prompt("more", { onBusy: "steer" }))
        yield* at.open
        assert.strictEqual((yield* Fiber.join(running))._tag, "LimitReached")
        assert.deepInclude(yield* Fiber.join(joining), { _tag: "Reply", text: "alone" })
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )

  it.effect("a prompt that is interrupted while it stores what joins has taken it, once", () =>
    Effect.gen(function* () {
      const storing = yield* gate
      const slow = Layer.map(SessionStore.layerMemory, (context) => {
        const store = Context.get(context, SessionStore.SessionStore)
        return Context.make(SessionStore.SessionStore, {
          ...store,
          append: (it) =>
            it.entries.some((entry) => entry._tag === "User" && JSON.stringify(entry.content).includes("more"))
              ? Effect.zipRight(storing.stop, store.append(it))
              : store.append(it)
        })
      })
      const at = yield* gate
      const model = Model.layerScripted([Script.always({ before: at.stop, text: "done" })])
      yield* Effect.gen(function* () {
        const session = yield* open(plain)
        const running = yield* begin(session.prompt("go"))
        const joining = yield* begin(session.prompt("more", { onBusy: "steer" }))
        yield* at.open
        yield* storing.reached
        const cutting = yield* begin(Fiber.interrupt(running))
        yield* storing.open
        assert.strictEqual((yield* Fiber.join(joining))._tag, "Delivered")
        assert.isTrue(Exit.isInterrupted(yield* Fiber.join(cutting)))
        assert.deepStrictEqual(told(yield* session.history), ["go", "more", "(interrupted)"])
      }).pipe(Effect.provide(Layer.provideMerge(Engine.layer, Layer.merge(slow, model))))
    })
  )

  it.effect("what joins a prompt that cannot store it is prompted by itself", () =>
    Effect.gen(function* () {
      let failed = false
      const failing = Layer.map(SessionStore.layerMemory, (context) => {
        const store = Context.get(context, SessionStore.SessionStore)
        return Context.make(SessionStore.SessionStore, {
          ...store,
          append: (it) => {
            const joins = it.entries.some((entry) => entry._tag === "User" && JSON.stringify(entry).includes("more"))
            if (!joins || failed) return store.append(it)
            failed = true
            return Effect.fail(new Errors.SessionStoreError({ operation: "append", reason: "the disk is full" }))
          }
        })
      })
      const at = yield* gate
      const model = Model.layerScripted([Script.on("go", { before: at.stop, text: "done" }), Script.always("alone")])
      yield* Effect.gen(function* () {
        const session = yield* open(plain)
        const running = yield* begin(Effect.flip(session.prompt("go")))
        const joining = yield* begin(session.prompt("more", { onBusy: "steer" }))
        yield* at.open
        assert.strictEqual((yield* Fiber.join(running))._tag, "SessionStoreError")
        assert.deepInclude(yield* Fiber.join(joining), { _tag: "Reply", text: "alone" })
        assert.deepStrictEqual(told(yield* session.history), ["go", "(failed)", "more", "(completed)"])
      }).pipe(Effect.provide(Layer.provideMerge(Engine.layer, Layer.merge(failing, model))))
    })
  )

  it.effect("followUp waits while the model calls tools, steer does not", () =>
    Effect.gen(function* () {
      const at = yield* gate
      const on = stage((_, n) => (n === 0 ? Script.calls(Script.call("work")) : n === 1 ? "done" : "and that"))
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [waiter(at)], delegate: "off" }))
        const running = yield* begin(session.prompt("go"))
        yield* at.reached
        const later = yield* begin(session.prompt("later", { onBusy: "followUp" }))
        const now = yield* begin(session.prompt("now", { onBusy: "steer" }))
        yield* at.open
        yield* Effect.all([Fiber.join(later), Fiber.join(now)])
        assert.strictEqual((yield* Fiber.join(running)).text, "and that")
        assert.deepStrictEqual(on.requests.slice(1), [
          ["user: go", "assistant: work()", "tool: worked", "user: now"],
          ["user: go", "assistant: work()", "tool: worked", "user: now", "assistant: done", "user: later"]
        ])
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )

  it.effect("a prompt with a structured result takes what joins before it reminds", () =>
    Effect.gen(function* () {
      const at = yield* gate
      const on = stage((_, n) =>
        n === 0 ? { before: at.stop, text: "hm" } : Script.calls(Script.call("finish", { ok: true }))
      )
      yield* Effect.gen(function* () {
        const session = yield* open(plain)
        const resultSchema = Schema.Struct({ ok: Schema.Boolean })
        const running = yield* begin(session.prompt("go", { resultSchema }))
        const joining = yield* begin(session.prompt("more", { onBusy: "followUp" }))
        yield* at.open
        assert.strictEqual((yield* Fiber.join(joining))._tag, "Delivered")
        assert.deepStrictEqual((yield* Fiber.join(running)).value, { ok: true })
        assert.deepStrictEqual(on.requests[1], ["user: go", "assistant: hm", "user: more"])
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )

  it.effect("a prompt that has its structured result ends; what would join it is prompted by itself", () =>
    Effect.gen(function* () {
      const at = yield* gate
      const finish = Script.calls(Script.call("finish", { ok: true }), Script.call("work"))
      const on = stage((_, n) => (n === 0 ? finish : "alone"))
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [waiter(at)], delegate: "off" }))
        const running = yield* begin(session.prompt("go", { resultSchema: Schema.Struct({ ok: Schema.Boolean }) }))
        yield* at.reached
        const joining = yield* begin(session.prompt("more", { onBusy: "steer" }))
        yield* at.open
        assert.deepStrictEqual((yield* Fiber.join(running)).value, { ok: true })
        assert.deepInclude(yield* Fiber.join(joining), { _tag: "Reply", text: "alone" })
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )
})

describe("from inside the session's own lineage", () => {
  type Inside = (say: Effect.Effect<unknown, unknown>) => Tool.Tool
  const tool = (run: (call: Tool.ToolCall) => Effect.Effect<unknown> | Promise<unknown>) =>
    Tool.make("inside", { description: "Speaks from inside", run: (_, call) => run(call) as Promise<unknown> })
  const ways: Readonly<Record<string, Inside>> = {
    "an Effect": (say) => tool(() => Effect.orDie(say)),
    "a plain async function through its call": (say) => tool(async (call) => call.runPromise(say)),
    "a plain async function through an outside runPromise": (say) => tool(async () => Effect.runPromise(say)),
    "a plain async function after other promises": (say) =>
      tool(async () => {
        await Promise.all([1, 2, 3].map((n) => Effect.runPromise(Effect.delay(Effect.succeed(n), 1))))
        return Effect.runPromise(say)
      })
  }
  for (const [name, inside] of Object.entries(ways)) {
    for (const onBusy of ["steer", "followUp"] as const) {
      it.live(`${onBusy} of ${name} completes on admission and is delivered`, () =>
        Effect.gen(function* () {
          const on = stage((_, n) => (n === 0 ? Script.calls(Script.call("inside")) : `reply ${n}`))
          const handle = yield* Deferred.make<Sessions.Session>()
          const say = Effect.flatMap(Deferred.await(handle), (it) => it.prompt("psst", { onBusy }))
          yield* Effect.gen(function* () {
            // The batches of the scheduler are begun by somebody else.
            const noise = yield* Effect.fork(Effect.forever(Effect.yieldNow()))
            const session = yield* open(Agent.make("a", { tools: [inside(say)], delegate: "off" }))
            yield* Deferred.succeed(handle, session)
            yield* session.prompt("go")
            yield* Fiber.interrupt(noise)
            const [id] = ids(yield* session.history, "OperationStarted")
            const result = on.requests[1]![2]!
            assert.deepStrictEqual(JSON.parse(result.slice("tool: ".length)), { _tag: "Delivered", operationId: id })
            assert.strictEqual(on.requests[onBusy === "steer" ? 1 : 2]!.at(-1), "user: psst")
            sound(yield* session.history)
            clean(on)
          }).pipe(Effect.provide(on.layer))
        })
      )
    }
  }

  it.effect("what was promised ends with the session, where no prompt came for it", () =>
    Effect.gen(function* () {
      const on = stage((_, n) => (n === 0 ? Script.calls(Script.call("inside")) : "never"))
      const handle = yield* Deferred.make<Sessions.Session>()
      const say = Effect.flatMap(Deferred.await(handle), (it) => it.prompt("psst", { onBusy: "steer" }))
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [tool(() => Effect.orDie(say))], delegate: "off" }))
        yield* Deferred.succeed(handle, session)
        yield* Effect.flip(session.prompt("go", { limits: { turns: 1 } }))
        assert.deepStrictEqual(on.inbox.size(), { waiting: 1, readers: 0 })
        yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.remove("s"))
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )

  it.effect("a task's child steers its parent", () =>
    Effect.gen(function* () {
      const play: Play = (lines) => {
        if (lines[0] === "user: sub") return lines.length === 1 ? Script.calls(Script.call("inside")) : "child"
        return lines.length === 1 ? Script.calls(Script.task("sub", { agent: "child" })) : "parent"
      }
      const on = stage(play)
      const handle = yield* Deferred.make<Sessions.Session>()
      const say = Effect.flatMap(Deferred.await(handle), (it) => it.prompt("psst", { onBusy: "steer" }))
      const child = Agent.make("child", { description: "c", tools: [tool(() => Effect.orDie(say))], delegate: "off" })
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { subagents: [child], delegate: "off" }))
        yield* Deferred.succeed(handle, session)
        assert.strictEqual((yield* session.prompt("go")).text, "parent")
        assert.deepStrictEqual(on.requests.at(-1), ["user: go", "assistant: task()", "tool: child", "user: psst"])
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )

  for (const onBusy of ["steer", "followUp", "rollback"] as const) {
    it.effect(`${onBusy} of a task's child where nothing will look again is refused at once, and leaves nothing`, () =>
      Effect.gen(function* () {
        const on = stage((lines) => (lines.length === 1 ? Script.calls(Script.call("inside")) : "child"))
        const handle = yield* Deferred.make<Sessions.Session>()
        const errors: Array<string> = []
        const say = Effect.flatMap(Deferred.await(handle), (it) => Effect.flip(it.prompt("psst", { onBusy })))
        const note = Effect.map(say, (error) => errors.push(error._tag))
        const child = Agent.make("child", {
          description: "c",
          tools: [tool(() => Effect.orDie(note))],
          delegate: "off"
        })
        yield* Effect.gen(function* () {
          const session = yield* open(Agent.make("a", { subagents: [child], delegate: "off" }))
          yield* Deferred.succeed(handle, session)
          yield* session.task("sub", { agent: "child" })
          assert.deepStrictEqual(errors, ["SessionDeadlock"])
          assert.notInclude(JSON.stringify(yield* session.history), "psst")
          yield* session.prompt("next")
          assert.notInclude(JSON.stringify(on.requests), "psst")
          clean(on)
        }).pipe(Effect.provide(on.layer))
      })
    )
  }

  it.effect("a result is not accepted while a message from inside waits that the model has not seen", () =>
    Effect.gen(function* () {
      const spoken = yield* gate
      const on = stage((_, n) =>
        n === 0
          ? Script.calls(Script.call("inside"), Script.call("finish", { ok: false }))
          : Script.calls(Script.call("finish", { ok: true }))
      )
      const handle = yield* Deferred.make<Sessions.Session>()
      const say = Effect.flatMap(Deferred.await(handle), (it) => it.prompt("psst", { onBusy: "steer" }))
      const slow = Schema.transformOrFail(Schema.Boolean, Schema.Boolean, {
        strict: true,
        decode: (value) => Effect.as(spoken.stop, value),
        encode: (value) => Effect.succeed(value)
      })
      yield* Effect.gen(function* () {
        const inside = tool(() => Effect.orDie(Effect.zipLeft(say, spoken.open)))
        const session = yield* open(Agent.make("a", { tools: [inside], delegate: "off" }))
        yield* Deferred.succeed(handle, session)
        const reply = yield* session.prompt("go", { resultSchema: Schema.Struct({ ok: slow }) })
        assert.deepStrictEqual(reply.value, { ok: true })
        assert.strictEqual(on.requests[1]!.at(-1), "user: psst")
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )

  it.effect("once the model has finished nothing joins from inside any more", () =>
    Effect.gen(function* () {
      const on = stage(() => Script.calls(Script.call("finish", { ok: true }), Script.call("inside")))
      const handle = yield* Deferred.make<Sessions.Session>()
      const finished = yield* gate
      const errors: Array<string> = []
      const say = Effect.flatMap(Deferred.await(handle), (it) => Effect.flip(it.prompt("psst", { onBusy: "steer" })))
      const inside = tool(() =>
        Effect.zipRight(settle, Effect.orDie(Effect.map(say, (error) => errors.push(error._tag))))
      )
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [inside], delegate: "off" }))
        yield* Deferred.succeed(handle, session)
        yield* finished.open
        yield* session.prompt("go", { resultSchema: Schema.Struct({ ok: Schema.Boolean }) })
        assert.deepStrictEqual(errors, ["SessionDeadlock"])
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )

  it.effect(
    "nothing joins from inside a prompt that has looked for the last time and waits for what it left behind",
    () =>
      Effect.gen(function* () {
        const child = yield* gate
        const speak = yield* gate
        const answer = yield* Deferred.make<string>()
        const handle = yield* Deferred.make<Sessions.Session>()
        const say = Effect.flatMap(Deferred.await(handle), (it) => Effect.flip(it.prompt("psst", { onBusy: "steer" })))
        // Something that the model's layer leaves behind has no call that could have ended.
        const whisper = speak.stop.pipe(
          Effect.zipRight(say),
          Effect.flatMap(({ _tag }) => Deferred.succeed(answer, _tag)),
          Effect.orDie,
          Effect.forkDaemon,
          Effect.asVoid
        )
        const on = stage((lines) => {
          if (lines[0] === "user: sub") return { before: Effect.uninterruptible(child.stop), text: "child" }
          return lines.length === 1 ? Script.calls(Script.call("slow")) : { before: whisper, text: "done" }
        })
        const slow = Tool.make("slow", {
          description: "Is given up",
          deadline: 10,
          run: () => Effect.orDie(Effect.flatMap(Deferred.await(handle), (it) => it.task("sub")))
        })
        yield* Effect.gen(function* () {
          const session = yield* open(Agent.make("a", { tools: [slow] }))
          yield* Deferred.succeed(handle, session)
          const running = yield* begin(session.prompt("go"))
          yield* child.reached
          yield* TestClock.adjust("10 millis")
          yield* speak.reached
          yield* settle
          assert.isNull(running.unsafePoll())
          yield* speak.open
          assert.strictEqual(yield* Deferred.await(answer), "SessionDeadlock")
          yield* TestClock.adjust("1 minute")
          assert.strictEqual((yield* Fiber.join(running)).text, "done")
          yield* child.open
          clean(on)
        }).pipe(Effect.provide(on.layer))
      })
  )

  it.effect("a prompt that owes an answer and has no turn left for it fails, and the next one gives it", () =>
    Effect.gen(function* () {
      const on = stage((_, n) => (n === 0 ? Script.calls(Script.call("inside")) : `reply ${n}`))
      const handle = yield* Deferred.make<Sessions.Session>()
      const say = Effect.flatMap(Deferred.await(handle), (it) => it.prompt("psst", { onBusy: "followUp" }))
      yield* Effect.gen(function* () {
        const inside = tool(() => Effect.orDie(say))
        const session = yield* open(Agent.make("a", { tools: [inside], delegate: "off" }))
        yield* Deferred.succeed(handle, session)
        const error = yield* Effect.flip(session.prompt("go", { limits: { turns: 2 } }))
        assert.deepInclude(error, { _tag: "LimitReached", limit: "turns" })
        yield* session.prompt("next")
        assert.strictEqual(on.requests.at(-1)!.at(-1), "user: psst")
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )

  it.effect("what was admitted from inside a prompt that fails goes to the next prompt", () =>
    Effect.gen(function* () {
      const fail = new Errors.ModelRejected({ model: "m", reason: "no" })
      const on = stage((_, n) => (n === 0 ? Script.calls(Script.call("inside")) : n === 1 ? { fail } : `reply ${n}`))
      const handle = yield* Deferred.make<Sessions.Session>()
      const say = Effect.flatMap(Deferred.await(handle), (it) => it.prompt("psst", { onBusy: "followUp" }))
      yield* Effect.gen(function* () {
        const inside = tool(() => Effect.orDie(say))
        const session = yield* open(Agent.make("a", { tools: [inside], delegate: "off" }))
        yield* Deferred.succeed(handle, session)
        yield* Effect.flip(session.prompt("go"))
        assert.deepStrictEqual(on.inbox.size(), { waiting: 1, readers: 0 })
        yield* session.prompt("next")
        assert.strictEqual(on.requests.at(-1)!.at(-1), "user: psst")
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )
})

describe("what is given back to an inbox", () => {
  it("stands before what came since", () => {
    const inbox = makeInbox()
    const inputOf = (text: string): Input => ({
      content: [{ type: "text", text }],
      when: "steer",
      id: undefined,
      asked: undefined,
      storing: undefined,
      promised: false,
      onDelivered: () => undefined
    })
    const first = inputOf("first")
    const second = inputOf("second")
    const third = inputOf("third")
    inbox.put("i", first)
    inbox.put("i", second)
    const taken = inbox.take("i", "steer")
    inbox.put("i", third)
    inbox.giveBack("i", taken)
    assert.deepStrictEqual(inbox.take("i", "all"), [first, second, third])
  })
})

describe("rollback", () => {
  const cut = (entries: ReadonlyArray<Entry.Entry>) =>
    entries.flatMap((entry) => (entry._tag === "HeadMoved" ? [entry.parentId] : []))

  it.effect("goes on from before the operation that it interrupted; its entries are kept", () =>
    Effect.gen(function* () {
      const at = yield* gate
      const on = stage((lines, n) =>
        n === 1 ? Script.calls(Script.call("work")) : n === 2 ? { before: at.stop } : lines.at(-1)!.slice(6)
      )
      yield* Effect.gen(function* () {
        const tool = Tool.make("work", { description: "Works", run: () => Effect.succeed("worked") })
        const agent = Agent.make("a", { tools: [tool], delegate: "off" })
        const session = yield* open(agent)
        yield* session.prompt("first")
        const before = yield* session.history
        const running = yield* begin(Effect.exit(session.prompt("wrong")))
        yield* at.reached
        const joined = yield* begin(session.prompt("and wrong too", { onBusy: "steer" }))
        assert.isNull(joined.unsafePoll())
        yield* Fiber.interrupt(joined)
        assert.deepInclude(yield* session.prompt("right", { onBusy: "rollback" }), { text: "right" })
        assert.isTrue(Exit.isInterrupted(yield* Fiber.join(running)))
        assert.deepStrictEqual(on.requests.at(-1), ["user: first", "assistant: first", "user: right"])
        const entries = yield* session.history
        assert.deepStrictEqual(cut(entries), [before.at(-1)!.id])
        assert.deepStrictEqual(told(entries), [
          "first",
          "(completed)",
          "wrong",
          "(interrupted)",
          "right",
          "(completed)"
        ])
        sound(entries)
        // The same conversation for a handle that knows nothing, and for another engine over the store.
        const expected = [...on.requests.at(-1)!, "assistant: right"]
        assert.deepStrictEqual(linesOf(Conversation.fold(entries)), expected)
        yield* (yield* open(agent)).prompt("again")
        assert.deepStrictEqual(on.requests.at(-1), [...expected, "user: again"])
        const seen: Array<ReadonlyArray<string>> = []
        const second = Engine.layer.pipe(
          Layer.provide(Layer.succeed(SessionStore.SessionStore, yield* SessionStore.SessionStore)),
          Layer.provide(
            Model.layerScripted([
              Script.always(({ request }) => {
                seen.push(linesOf(request.messages))
                return "second"
              })
            ])
          )
        )
        const other = Context.get(yield* Layer.build(second), Sessions.Sessions)
        yield* (yield* other.open({ id: "s", agent })).prompt("elsewhere")
        assert.deepStrictEqual(seen, [[...expected, "user: again", "assistant: again", "user: elsewhere"]])
        clean(on)
      }).pipe(Effect.provide(on.layer), Effect.scoped)
    })
  )

  it.effect("twice in a row, and of the first prompt there was", () =>
    Effect.gen(function* () {
      const on = stage((lines) => (lines.at(-1) === "user: c" ? "ok" : { before: Effect.never }))
      yield* Effect.gen(function* () {
        const session = yield* open(plain)
        yield* begin(Effect.exit(session.prompt("a")))
        yield* begin(Effect.exit(session.prompt("b", { onBusy: "rollback" })))
        yield* session.prompt("c", { onBusy: "rollback" })
        assert.deepStrictEqual(on.requests, [["user: a"], ["user: b"], ["user: c"]])
        const entries = yield* session.history
        assert.strictEqual(cut(entries).length, 2)
        sound(entries)
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )

  it.effect("two that wait at the same time: neither the first nor what it took back is seen", () =>
    Effect.gen(function* () {
      // A store that answers later: an operation that is interrupted as it is admitted has written nothing yet.
      const slow = Layer.map(SessionStore.layerMemory, (context) => {
        const store = Context.get(context, SessionStore.SessionStore)
        return Context.make(SessionStore.SessionStore, {
          ...store,
          get: (id) => Effect.zipRight(settle, store.get(id))
        })
      })
      const requests: Array<ReadonlyArray<string>> = []
      const model = Model.layerScripted([
        Script.always(({ request }) => {
          requests.push(linesOf(request.messages))
          return requests.at(-1)!.at(-1) === "user: c" ? "ok" : { before: Effect.never }
        })
      ])
      yield* Effect.gen(function* () {
        const session = yield* open(plain)
        const a = yield* Effect.fork(Effect.exit(session.prompt("a")))
        yield* Effect.repeat(Effect.yieldNow(), { until: () => requests.length === 1 })
        const b = yield* Effect.fork(Effect.exit(session.prompt("b", { onBusy: "rollback" })))
        yield* Effect.yieldNow()
        yield* session.prompt("c", { onBusy: "rollback" })
        assert.isTrue(Exit.isInterrupted(yield* Fiber.join(a)))
        assert.isTrue(Exit.isInterrupted(yield* Fiber.join(b)))
        assert.deepStrictEqual(requests.at(-1), ["user: c"])
        sound(yield* session.history)
      }).pipe(Effect.provide(Layer.provideMerge(Engine.layer, Layer.merge(slow, model))))
    })
  )

  it.effect("of a prompt that others had joined takes what joined back as well", () =>
    Effect.gen(function* () {
      const at = yield* gate
      const on = stage((lines, n) =>
        n === 0 ? { before: at.stop, text: "done" } : n === 1 ? { before: Effect.never } : lines.at(-1)!.slice(6)
      )
      yield* Effect.gen(function* () {
        const session = yield* open(plain)
        yield* begin(Effect.exit(session.prompt("wrong")))
        const joined = yield* begin(session.prompt("more", { onBusy: "steer" }))
        yield* at.open
        assert.strictEqual((yield* Fiber.join(joined))._tag, "Delivered")
        yield* session.prompt("right", { onBusy: "rollback" })
        assert.deepStrictEqual(on.requests.at(-1), ["user: right"])
        assert.deepStrictEqual(told(yield* session.history), ["wrong", "more", "(interrupted)", "right", "(completed)"])
        sound(yield* session.history)
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )

  it.effect("of a prompt whose message was joined with one before it takes its own words back only", () =>
    Effect.gen(function* () {
      const fail = new Errors.ModelRejected({ model: "m", reason: "no" })
      const on = stage((_, n) => (n === 0 ? { fail } : n === 1 ? { before: Effect.never } : "ok"))
      yield* Effect.gen(function* () {
        const session = yield* open(plain)
        yield* Effect.flip(session.prompt("first"))
        yield* begin(Effect.exit(session.prompt("wrong")))
        yield* session.prompt("right", { onBusy: "rollback" })
        const note = "[The request above failed (ModelRejected) before it was answered.]"
        assert.deepStrictEqual(on.requests, [
          ["user: first"],
          [`user: first | ${note} | wrong`],
          [`user: first | ${note} | right`]
        ])
        sound(yield* session.history)
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )

  it.effect("of a shell and of a task", () =>
    Effect.gen(function* () {
      for (const kind of ["shell", "task"] as const) {
        const at = yield* gate
        const on = stage((lines) => (lines[0] === "user: sub" ? { before: at.stop, text: "child" } : "right"))
        const sandbox = Layer.succeed(
          Sandbox.Sandbox,
          emptySandbox(() => at.stop)
        )
        yield* Effect.gen(function* () {
          const session = yield* open(Agent.make("a"))
          yield* begin(Effect.exit(operate(session, kind)))
          yield* at.reached
          yield* session.prompt("right", { onBusy: "rollback" })
          assert.deepStrictEqual(on.requests.at(-1), ["user: right"])
          sound(yield* session.history)
          clean(on)
        }).pipe(Effect.provide(Layer.provideMerge(on.layer, sandbox)))
      }
    })
  )

  it.effect("takes nothing back where the prompt was done just before, or was interrupted by somebody else", () =>
    Effect.gen(function* () {
      const at = yield* gate
      const stuck = Tool.make("work", {
        description: "x",
        run: () => Effect.uninterruptible(Effect.as(at.stop, "worked"))
      })
      const on = stage((lines, n) => {
        if (n === 0) return Script.calls(Script.call("finish", { ok: true }), Script.call("work"))
        return lines.at(-1)!.endsWith("for ever") ? { before: Effect.never } : "ok"
      })
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [stuck], delegate: "off" }))
        const running = yield* begin(session.prompt("go", { resultSchema: Schema.Struct({ ok: Schema.Boolean }) }))
        yield* at.reached
        yield* at.open
        const next = yield* Effect.fork(session.prompt("next", { onBusy: "rollback" }))
        const exit = yield* Fiber.await(running)
        yield* Fiber.join(next)
        assert.strictEqual(cut(yield* session.history).length, Exit.isSuccess(exit) ? 0 : 1)
        const cancelled = yield* begin(session.prompt("for ever"))
        yield* Fiber.interrupt(cancelled)
        yield* session.prompt("last", { onBusy: "rollback" })
        assert.include(on.requests.at(-1)!.at(-1), "for ever")
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )

  it.effect("takes nothing back that another interrupted, though that one went away before it began", () =>
    Effect.gen(function* () {
      const at = yield* gate
      const stuck = Tool.make("work", {
        description: "x",
        run: () => Effect.uninterruptible(Effect.as(at.stop, "worked"))
      })
      const on = stage((_, n) => (n === 0 ? Script.calls(Script.call("work")) : "ok"))
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [stuck], delegate: "off" }))
        yield* begin(Effect.exit(session.prompt("go")))
        yield* at.reached
        const other = yield* begin(session.prompt("other", { onBusy: "interrupt" }))
        const back = yield* begin(session.prompt("back", { onBusy: "rollback" }))
        yield* Fiber.interrupt(other)
        yield* at.open
        assert.deepInclude(yield* Fiber.join(back), { _tag: "Reply", text: "ok" })
        const entries = yield* session.history
        assert.deepStrictEqual(cut(entries), [])
        assert.deepStrictEqual(told(entries), ["go", "(interrupted)", "back", "(completed)"])
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )

  it.effect("rollback and interrupt go ahead of the line, in order of arrival", () =>
    Effect.gen(function* () {
      const at = yield* gate
      const on = stage((lines) => {
        const text = lines.at(-1)!
        return /(running|takes back|interrupts)$/.test(text) ? { before: Effect.never } : "ok"
      })
      const stuck = Tool.make("stuck", { description: "x", run: () => Effect.uninterruptible(Effect.as(at.stop, "x")) })
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [stuck], delegate: "off" }))
        yield* begin(Effect.exit(session.prompt("running")))
        const order: Array<string> = []
        const call = (text: string, onBusy: "wait" | "interrupt" | "rollback" | "followUp") =>
          Effect.fork(Effect.onExit(session.prompt(text, { onBusy }), () => Effect.sync(() => order.push(text))))
        const fibers = [
          yield* call("waits", "wait"),
          yield* call("follows", "followUp"),
          yield* call("takes back", "rollback"),
          yield* call("interrupts", "interrupt"),
          yield* call("takes back too", "rollback")
        ]
        const exits = yield* Effect.forEach(fibers, Fiber.await)
        assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, true, false, false, true])
        assert.deepStrictEqual(
          order.filter((text) => text.startsWith("t") || text === "interrupts"),
          ["takes back", "interrupts", "takes back too"]
        )
        const entries = yield* session.history
        assert.deepStrictEqual(told(entries).slice(-5), [
          "takes back too",
          "follows",
          "(completed)",
          "waits",
          "(completed)"
        ])
        sound(entries)
        assert.notInclude(linesOf(Conversation.fold(entries)).join("\n"), "running")
        clean(on)
      }).pipe(Effect.provide(on.layer))
    })
  )
})

describe("as a function with its requirements", () => {
  it.effect("an answer's type and value tell what became of a text", () => {
    const on = stage(() => "ok")
    return Effect.gen(function* () {
      const ref = yield* Session.open({ id: "s", agent: plain })
      const answer = yield* Session.prompt(ref, "x", { onBusy: "steer" })
      assert.strictEqual(answer._tag === "Reply" ? answer.text : answer.operationId, "ok")
      const exit = yield* Effect.exit(Session.prompt(ref, "", { onBusy: "steer" }))
      assert.isTrue(Exit.isFailure(exit) && Cause.isFailType(exit.cause))
      clean(on)
    }).pipe(Effect.provide(on.layer))
  })
})
