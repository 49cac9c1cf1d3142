/**
 * Who hears what, in which order, and what a subscriber can do to others: nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Chunk,
  Context,
  Deferred,
  Effect,
  Exit,
  FastCheck,
  Fiber,
  Layer,
  Logger,
  Queue,
  Scope,
  Stream
} from "effect"
import { Agent, type Event, Events, Script, SessionStore } from "effect-baton"
import { row } from "../support/rows.js"
import * as AlarmsLayer from "../../src/layers/Alarms.js"
import * as EventsLayer from "../../src/layers/Events.js"
import * as HistoryLayer from "../../src/layers/History.js"
import { follow, replay } from "../../src/programs/follow.js"
import * as Draft from "../../src/services/Draft.js"
import { History } from "../../src/services/History.js"
import { engine, open } from "../support/engine.js"
import { runSeeded } from "../support/SeededScheduler.js"

const delta = (n: number, session = "s"): Event.TextDelta => ({
  _tag: "TextDelta",
  session,
  at: 0,
  operationId: "op",
  text: `${n}`
})

const usage = { input: 1, output: 2, cacheRead: 0, cacheWrite: 0, reasoning: 0 }

const said = (): Event.AssistantMessage => ({
  _tag: "AssistantMessage",
  session: "s",
  at: 0,
  operationId: "op",
  seq: 1,
  text: "t",
  calls: [{ id: "c", name: "echo", args: { deep: [{ text: "x" }] } }],
  model: "m",
  finish: "tool-calls",
  usage: { ...usage }
})

const textOf = (event: Event.Event | Events.Lost): string =>
  event._tag === "TextDelta" ? event.text : event._tag === "Lost" ? `lost ${event.count}` : event._tag

const upTo = (n: number, from = 0): ReadonlyArray<string> => Array.from({ length: n }, (_, i) => `${from + i}`)

/** Changes everything in a value that lets itself be changed. */
const spoil = (value: unknown): void => {
  if (typeof value !== "object" || value === null) return
  for (const [key, item] of Object.entries(value)) {
    spoil(item)
    Reflect.set(value, key, "spoilt")
  }
  if (Array.isArray(value)) value.length = 0
}

const settled = (until: () => boolean) => Effect.repeat(Effect.yieldNow(), { until })

/** Gathers what is logged as a warning. */
const warnings = (into: Array<string>) =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ cause, logLevel, message }) => {
      if (logLevel._tag === "Warning") into.push(`${[message].flat().join(" ")} ${Cause.pretty(cause)}`)
    })
  )

describe("subscribers", () => {
  it.scoped("have copies of their own", () =>
    Effect.gen(function* () {
      const events = yield* Events.Events
      const seen: Array<Event.Event> = []
      const queue = yield* events.subscribe()
      yield* events.listen("s", spoil)
      yield* events.listen(undefined, spoil)
      yield* events.listen("s", (event) => seen.push(event))
      const published = said()
      events.publish(published)
      events.publish(delta(1))
      assert.deepStrictEqual(published, said())
      assert.deepStrictEqual(seen, [said(), delta(1)])
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Queue.takeAll(queue)), [said(), delta(1)])
      spoil(seen)
      assert.deepStrictEqual(published, said())
    }).pipe(Effect.provide(EventsLayer.layer))
  )

  it.scoped("cannot change the history by what they hear or by what is replayed to them", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { delegate: "off" }))
      const { listen } = yield* Events.Events
      const heard: Array<string> = []
      yield* listen("s", (event) => {
        heard.push(event._tag)
        spoil(event)
      })
      const reply = yield* session.prompt("go")
      const before = JSON.stringify(yield* session.history)
      assert.include(before, "done")
      assert.notInclude(before, "spoilt")
      assert.notInclude(JSON.stringify(reply), "spoilt")
      const replayed = yield* session.replay().pipe(
        Stream.takeUntil((event) => event._tag === "Synced"),
        Stream.runCollect
      )
      spoil(Chunk.toReadonlyArray(replayed))
      assert.strictEqual(JSON.stringify(yield* session.history), before)
      assert.deepStrictEqual(heard.slice(-4), ["AssistantMessage", "TurnCompleted", "OperationCompleted", "Idle"])
      assert.strictEqual((yield* session.prompt("go")).text, "done")
    }).pipe(
      Effect.provide(engine([Script.on("go", Script.calls(Script.call("unknown", { list: [1, { two: 2 }] })), "done")]))
    )
  )

  it.scoped("that throw hurt neither the publisher nor others, are told, and go on hearing", () => {
    const log: Array<string> = []
    return Effect.gen(function* () {
      const events = yield* Events.Events
      const [bad, good]: [Array<string>, Array<string>] = [[], []]
      const throwing = (event: Event.Event) => {
        bad.push(textOf(event))
        throw new Error(`no ${textOf(event)}`)
      }
      yield* events.listen("s", throwing)
      yield* events.listen(undefined, (event) => good.push(textOf(event)))
      const queue = yield* events.subscribe("s")
      for (let n = 0; n < 9; n++) events.publish(delta(n))
      assert.deepStrictEqual(bad, upTo(9))
      assert.deepStrictEqual(good, upTo(9))
      assert.deepStrictEqual(Array.from(yield* Queue.takeAll(queue), textOf), upTo(9))
      const line = (times: number) => `A listener failed on TextDelta of session "s" (failure ${times})`
      assert.deepStrictEqual(
        [1, 2, 4, 8].map((times, i) => log[i]?.includes(line(times)) === true && log[i].includes(`no ${times - 1}`)),
        [true, true, true, true]
      )
      assert.strictEqual(log.length, 4)
    }).pipe(Effect.provide(EventsLayer.layer), Effect.provide(warnings(log)))
  })

  it.scoped("that are async functions are told of as well when they are rejected", () => {
    const log: Array<string> = []
    return Effect.gen(function* () {
      const events = yield* Events.Events
      const heard: Array<string> = []
      yield* events.listen("s", async (event) => {
        heard.push(textOf(event))
        await Promise.reject(new Error("late"))
      })
      events.publish(delta(0))
      events.publish(delta(1))
      yield* settled(() => log.length === 2)
      assert.deepStrictEqual(heard, upTo(2))
      assert.include(log[1], "late")
    }).pipe(Effect.provide(EventsLayer.layer), Effect.provide(warnings(log)))
  })

  it.scoped("that fail with a log that fails hurt nobody", () =>
    Effect.gen(function* () {
      const events = yield* Events.Events
      const heard: Array<string> = []
      yield* events.listen("s", () => {
        throw new Error("no")
      })
      yield* events.listen("s", (event) => heard.push(textOf(event)))
      events.publish(delta(0))
      assert.deepStrictEqual(heard, ["0"])
    }).pipe(
      Effect.provide(EventsLayer.layer),
      Effect.provide(
        Logger.replace(
          Logger.defaultLogger,
          Logger.make(() => {
            throw new Error("disk full")
          })
        )
      )
    )
  )

  it.scoped("a prompt runs to its end under listeners that throw", () => {
    const log: Array<string> = []
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      const { listen } = yield* Events.Events
      const heard: Array<string> = []
      yield* listen("s", (event) => {
        heard.push(event._tag)
        throw new Error(event._tag)
      })
      assert.strictEqual((yield* session.prompt("go")).text, "ok")
      assert.include(heard, "TextDelta")
      assert.strictEqual(heard.at(-1), "Idle")
      assert.isAbove(log.length, 0)
    }).pipe(Effect.provide(engine([Script.always("ok")])), Effect.provide(warnings(log)))
  })

  it.scoped("delay nobody when they are slow", () =>
    Effect.gen(function* () {
      const events = yield* Events.Events
      const gate = yield* Deferred.make<void>()
      const slow: Array<string> = []
      const fast: Array<string> = []
      const reader = yield* follow(events, "s").pipe(
        Stream.runForEach((event) =>
          Effect.zipRight(
            Deferred.await(gate),
            Effect.sync(() => slow.push(textOf(event)))
          )
        ),
        Effect.forkScoped
      )
      yield* settled(() => events.heard("s"))
      yield* events.listen("s", (event) => fast.push(textOf(event)))
      for (let n = 0; n < 5_000; n++) {
        events.publish(delta(n))
        if (n % 1_000 === 0) yield* Effect.yieldNow()
      }
      assert.strictEqual(fast.length, 5_000)
      assert.strictEqual(slow.length, 0)
      yield* Deferred.succeed(gate, undefined)
      yield* settled(() => slow.length === 5_000)
      assert.deepStrictEqual(slow, upTo(5_000))
      yield* Fiber.interrupt(reader)
    }).pipe(Effect.provide(EventsLayer.layer))
  )

  it.scoped("hear what a listener publishes after what it was listening to", () =>
    Effect.gen(function* () {
      const events = yield* Events.Events
      const order: Array<ReadonlyArray<string>> = []
      const late: Array<string> = []
      yield* Effect.forEach([0, 1, 2], (i) => {
        const mine: Array<string> = []
        order.push(mine)
        return events.listen(i === 1 ? undefined : "s", (event) => {
          mine.push(textOf(event))
          if (i === 1 && textOf(event) === "0") {
            events.publish(delta(1))
            events.publish(delta(2))
            Effect.runSync(
              Scope.extend(
                events.listen("s", (it) => late.push(textOf(it))),
                scope
              )
            )
            events.publish(delta(3))
          }
        })
      })
      const scope = yield* Scope.make()
      events.publish(delta(0))
      assert.deepStrictEqual(order, [upTo(4), upTo(4), upTo(4)])
      assert.deepStrictEqual(late, ["3"])
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.provide(EventsLayer.layer))
  )
})

describe("a subscription", () => {
  it.effect("leaves nothing behind, and hears nothing once its scope has closed", () =>
    Effect.gen(function* () {
      const events = yield* Events.Events
      const seen: Array<string> = []
      for (const session of ["s", undefined]) {
        const scope = yield* Scope.make()
        const queue = yield* Scope.extend(events.subscribe(session), scope)
        yield* Scope.extend(
          events.listen(session, (event) => seen.push(textOf(event))),
          scope
        )
        const taker = yield* Effect.fork(Queue.take(queue))
        yield* Effect.yieldNow()
        assert.deepStrictEqual([events.heard("s"), events.heard("other")], [true, session === undefined])
        yield* Scope.close(scope, Exit.void)
        assert.isFalse(events.heard("s"))
        events.publish(delta(0))
        assert.isTrue(Exit.isInterrupted(yield* Fiber.await(taker)))
        assert.isTrue(yield* Queue.isShutdown(queue))
      }
      assert.deepStrictEqual(seen, [])
    }).pipe(Effect.provide(EventsLayer.layer))
  )

  it.scoped("that is given up while an event is handed out does not hear it", () =>
    Effect.gen(function* () {
      const events = yield* Events.Events
      const scope = yield* Scope.make()
      const heard: Array<string> = []
      yield* events.listen("s", () => Effect.runSync(Scope.close(scope, Exit.void)))
      yield* Scope.extend(
        events.listen("s", (event) => heard.push(textOf(event))),
        scope
      )
      events.publish(delta(0))
      assert.deepStrictEqual(heard, [])
    }).pipe(Effect.provide(EventsLayer.layer))
  )

  it.scoped("as a Stream ends with the fiber that runs it, wherever it stands", () =>
    Effect.gen(function* () {
      const events = yield* Events.Events
      for (const before of [0, 1, 3]) {
        const seen: Array<string> = []
        const reader = yield* Effect.fork(
          Stream.runForEach(follow(events), (event) => Effect.sync(() => seen.push(textOf(event))))
        )
        yield* settled(() => events.heard("s"))
        for (let n = 0; n < before; n++) events.publish(delta(n))
        yield* settled(() => seen.length === before)
        events.publish(delta(before))
        yield* Fiber.interrupt(reader)
        assert.isFalse(events.heard("s"))
        const count = seen.length
        events.publish(delta(9))
        yield* Effect.yieldNow()
        assert.strictEqual(seen.length, count)
      }
    }).pipe(Effect.provide(EventsLayer.layer))
  )

  it.scoped("with a capacity holds the newest, and says how many it let go", () =>
    Effect.gen(function* () {
      const events = yield* Events.Events
      const queue = yield* events.subscribe("s", { capacity: 3 })
      const publish = (from: number, to: number) => {
        for (let n = from; n < to; n++) events.publish(delta(n))
      }
      const taken = Effect.map(Queue.takeAll(queue), (chunk) => Array.from(chunk, textOf))
      publish(0, 3)
      assert.deepStrictEqual(yield* taken, ["0", "1", "2"])
      publish(3, 13)
      assert.strictEqual(yield* Queue.size(queue), 4)
      assert.deepStrictEqual(yield* taken, ["lost 7", "10", "11", "12"])
      publish(13, 17)
      assert.strictEqual(textOf(yield* Queue.take(queue)), "lost 1")
      publish(17, 18)
      assert.deepStrictEqual(yield* taken, ["lost 1", "15", "16", "17"])
      const taker = yield* Effect.fork(Queue.take(queue))
      yield* Effect.yieldNow()
      publish(18, 23)
      assert.strictEqual(textOf(yield* Fiber.join(taker)), "18")
      assert.deepStrictEqual(Array.from(yield* Queue.takeUpTo(queue, 2), textOf), ["lost 1", "20"])
      assert.deepStrictEqual(yield* taken, ["21", "22"])
      for (const capacity of [0, -1, Number.NaN]) {
        const one = yield* events.subscribe("s", { capacity })
        publish(0, 2)
        assert.deepStrictEqual(Array.from(yield* Queue.takeAll(one), textOf), ["lost 1", "1"])
      }
    }).pipe(Effect.provide(EventsLayer.layer))
  )

  it.scopedLive("as a Stream brings text that comes faster than it is read in few chunks", () =>
    Effect.gen(function* () {
      const events = yield* Events.Events
      const chunks: Array<number> = []
      const reader = yield* follow(events, "s").pipe(
        Stream.chunks,
        Stream.tap((chunk) => Effect.sync(() => chunks.push(chunk.length))),
        Stream.flattenChunks,
        Stream.take(20_000),
        Stream.runForEach((event) => Effect.succeed(event)),
        Effect.forkScoped
      )
      yield* settled(() => events.heard("s"))
      yield* Effect.promise(async () => {
        for (let n = 0; n < 20_000; n++) {
          await Promise.resolve()
          events.publish(delta(n))
        }
      })
      yield* Fiber.join(reader)
      assert.strictEqual(
        chunks.reduce((sum, length) => sum + length, 0),
        20_000
      )
      // One at once, one more where a millisecond has gone by meanwhile, and what came until the event loop turned.
      assert.isAtMost(chunks.length, 100)
    }).pipe(Effect.provide(EventsLayer.layer))
  )
})

describe("under a scheduler of its own", () => {
  it("a Stream needs nothing from outside, whatever the interleaving", () => {
    for (let seed = 0; seed < 200; seed++) {
      const seen: Array<string> = []
      const program = Effect.gen(function* () {
        const events = yield* Events.Events
        const reader = yield* follow(events, "s").pipe(
          Stream.take(30),
          Stream.runForEach((event) => Effect.sync(() => seen.push(textOf(event)))),
          Effect.fork
        )
        yield* Effect.repeat(Effect.sleep(1), { until: () => events.heard("s") })
        for (let n = 0; n < 30; n++) yield* Effect.sync(() => events.publish(delta(n)))
        yield* Fiber.join(reader)
        assert.isFalse(events.heard("s"))
      })
      const { exit } = runSeeded(Effect.provide(program, EventsLayer.layer), { seed })
      assert.deepStrictEqual([exit?._tag, seen], ["Success", upTo(30)], `seed ${seed}`)
    }
  })
})

// ------------------------------------------------------------------ properties

const sessions = ["a", "b"] as const

type Way = "listener" | "queue" | "stream" | "throwing"

type Step =
  | { readonly _tag: "Join"; readonly way: Way; readonly session: "a" | "b" | undefined }
  | { readonly _tag: "Leave"; readonly which: number }
  | { readonly _tag: "Publish"; readonly session: "a" | "b"; readonly times: number }
  | { readonly _tag: "Read"; readonly which: number; readonly max: number }
  | { readonly _tag: "Yield"; readonly times: number }

const step: FastCheck.Arbitrary<Step> = FastCheck.oneof(
  FastCheck.record({
    _tag: FastCheck.constant("Join" as const),
    way: FastCheck.constantFrom<Array<Way>>("listener", "queue", "stream", "throwing"),
    session: FastCheck.constantFrom("a" as const, "b" as const, undefined)
  }),
  FastCheck.record({ _tag: FastCheck.constant("Leave" as const), which: FastCheck.nat(5) }),
  FastCheck.record({
    _tag: FastCheck.constant("Publish" as const),
    session: FastCheck.constantFrom(...sessions),
    times: FastCheck.integer({ min: 1, max: 5 })
  }),
  FastCheck.record({ _tag: FastCheck.constant("Read" as const), which: FastCheck.nat(5), max: FastCheck.nat(4) }),
  FastCheck.record({ _tag: FastCheck.constant("Yield" as const), times: FastCheck.nat(12) })
)

/** A subscriber, what it has heard, and what it should hear. */
interface Member {
  readonly session: string | undefined
  readonly scope: Scope.CloseableScope
  readonly heard: Array<string>
  readonly due: Array<string>
  readonly read: (max: number) => Effect.Effect<void>
  /** Streams are allowed what they may read, and no more. */
  readonly isStream: boolean
}

const join = (events: typeof Events.Events.Service, way: Way, session: "a" | "b" | undefined) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const heard: Array<string> = []
    const member = { session, scope, heard, due: [], read: () => Effect.void, isStream: false }
    const note = (event: Event.Event) => {
      heard.push(`${event.session}${textOf(event)}`)
    }
    switch (way) {
      case "listener":
      case "throwing": {
        const listener = (event: Event.Event) => {
          note(event)
          if (way === "throwing") throw new Error("no")
        }
        yield* Scope.extend(events.listen(session, listener), scope)
        return member
      }
      case "queue": {
        const queue = yield* Scope.extend(events.subscribe(session), scope)
        const read = (max: number) => Effect.map(Queue.takeUpTo(queue, max), (some) => some.pipe(Chunk.forEach(note)))
        return { ...member, read }
      }
      case "stream": {
        const allowed = yield* Queue.unbounded<void>()
        const began = yield* Deferred.make<void>()
        const watched = {
          ...events,
          listen: (...of: Parameters<typeof events.listen>) =>
            Effect.zipLeft(events.listen(...of), Deferred.succeed(began, undefined))
        }
        yield* follow(watched, session).pipe(
          Stream.runForEach((event) => Effect.map(Queue.take(allowed), () => note(event))),
          Effect.forkIn(scope)
        )
        yield* Deferred.await(began)
        const read = (max: number) =>
          Effect.asVoid(
            Queue.offerAll(
              allowed,
              Array.from({ length: max }, () => undefined)
            )
          )
        return { ...member, read, isStream: true }
      }
    }
  })

const run = (steps: ReadonlyArray<Step>) =>
  Effect.gen(function* () {
    const events = yield* Events.Events
    const members: Array<Member> = []
    let n = 0
    const at = (which: number) => members[which % Math.max(1, members.length)]
    const leave = (member: Member) =>
      Effect.gen(function* () {
        yield* Scope.close(member.scope, Exit.void)
        // What it has heard is what it should have, in order, from the first on.
        assert.deepStrictEqual(member.heard, member.due.slice(0, member.heard.length))
        const count = member.heard.length
        return Effect.sync(() => assert.strictEqual(member.heard.length, count))
      })
    const afterwards: Array<Effect.Effect<void>> = []
    for (const it of steps) {
      switch (it._tag) {
        case "Join": {
          members.push(yield* join(events, it.way, it.session))
          break
        }
        case "Leave": {
          const member = at(it.which)
          if (member === undefined) break
          members.splice(members.indexOf(member), 1)
          afterwards.push(yield* leave(member))
          break
        }
        case "Publish": {
          for (let i = 0; i < it.times; i++) {
            for (const { due, session } of members)
              if (session === undefined || session === it.session) due.push(`${it.session}${n}`)
            events.publish(delta(n++, it.session))
          }
          break
        }
        case "Read": {
          yield* at(it.which)?.read(it.max) ?? Effect.void
          break
        }
        case "Yield":
          for (let i = 0; i < it.times; i++) yield* Effect.yieldNow()
      }
      for (const session of sessions) {
        assert.strictEqual(
          events.heard(session),
          members.some((member) => member.session === undefined || member.session === session)
        )
      }
    }
    for (const member of members) {
      yield* member.read(member.due.length)
      if (member.isStream) yield* settled(() => member.heard.length === member.due.length)
      assert.deepStrictEqual(member.heard, member.due)
      afterwards.push(yield* leave(member))
    }
    for (const session of sessions) {
      assert.isFalse(events.heard(session))
      events.publish(delta(n++, session))
    }
    yield* Effect.yieldNow()
    yield* Effect.all(afterwards)
  }).pipe(Effect.provide(EventsLayer.layer), Effect.provide(Logger.remove(Logger.defaultLogger)))

const places = FastCheck.integer({ min: 1, max: 4 })

describe("laws", () => {
  it.effect.prop(
    "each subscriber hears what is published while it listens, in that order, once",
    [FastCheck.array(step, { maxLength: 60 })],
    ([steps]) => run(steps),
    { fastCheck: { numRuns: 300 } }
  )

  it.effect.prop(
    "a bounded queue: what is read and what it says it lost are together what was published",
    [
      FastCheck.integer({ min: 1, max: 6 }),
      FastCheck.array(FastCheck.record({ publish: FastCheck.nat(9), read: FastCheck.nat(9) }), { maxLength: 30 })
    ],
    ([capacity, rounds]) =>
      Effect.gen(function* () {
        const events = yield* Events.Events
        const queue = yield* events.subscribe("s", { capacity })
        let [published, next] = [0, 0]
        const note = (event: Event.Event | Events.Lost) => {
          if (event._tag === "Lost") {
            assert.isAbove(event.count, 0)
            next += event.count
          } else assert.strictEqual(textOf(event), `${next++}`)
        }
        for (const { publish, read } of rounds) {
          for (let i = 0; i < publish; i++) events.publish(delta(published++))
          Chunk.forEach(yield* Queue.takeUpTo(queue, read), note)
          assert.isAtMost(yield* Queue.size(queue), capacity + 1)
        }
        Chunk.forEach(yield* Queue.takeAll(queue), note)
        assert.strictEqual(next, published)
      }).pipe(Effect.scoped, Effect.provide(EventsLayer.layer)),
    { fastCheck: { numRuns: 200 } }
  )

  it.effect.prop(
    "replay: the past after the cursor, Synced, then what is written, no place twice and none left out",
    [FastCheck.record({ past: places, before: places, after: places, later: places }), FastCheck.nat(12)],
    ([written, cursor]) => {
      let [before, after]: [Effect.Effect<void>, Effect.Effect<void>] = [Effect.void, Effect.void]
      const store = Layer.map(SessionStore.layerMemory, (context) => {
        const memory = Context.get(context, SessionStore.SessionStore)
        const read: typeof memory.read = (...of) => Effect.zipLeft(Effect.zipRight(before, memory.read(...of)), after)
        return Context.add(context, SessionStore.SessionStore, { ...memory, read })
      })
      return Effect.gen(function* () {
        const [events, history] = [yield* Events.Events, yield* History]
        yield* (yield* SessionStore.SessionStore).create(row("s"))
        const journal = yield* history.begin("s", "s-1")
        const write = (times: number) =>
          Effect.orDie(
            history.append(
              journal,
              "op",
              Array.from({ length: times }, () => Draft.user([]))
            )
          )
        yield* write(written.past)
        ;[before, after] = [write(written.before), write(written.after)]
        const seen: Array<Event.Event> = []
        const reader = yield* replay(events, history, "s", "s-1", cursor).pipe(
          Stream.runForEach((event) => Effect.sync(() => seen.push(event))),
          Effect.fork
        )
        yield* settled(() => seen.some((event) => event._tag === "Synced"))
        yield* write(written.later)
        const all = written.past + written.before + written.after + written.later
        events.publish({ _tag: "Idle", session: "s", at: 0 })
        yield* settled(() => seen.at(-1)?._tag === "Idle")
        yield* Fiber.interrupt(reader)
        assert.deepStrictEqual(
          seen.flatMap((event) => ("seq" in event ? [event.seq] : [])),
          Array.from({ length: Math.max(0, all - cursor) }, (_, i) => cursor + 1 + i)
        )
        assert.strictEqual(
          seen.findIndex((event) => event._tag === "Synced"),
          Math.max(0, written.past + written.before - cursor)
        )
      }).pipe(
        Effect.provide(
          HistoryLayer.layer.pipe(Layer.provideMerge(Layer.mergeAll(store, EventsLayer.layer, AlarmsLayer.layer)))
        )
      )
    },
    { fastCheck: { numRuns: 200 } }
  )
})
